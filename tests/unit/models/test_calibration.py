"""Chances, conformal quantiles and spreads, against closed forms, scikit-learn and markets with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trader.models.calibration import LEVELS, MIN_ROWS, conformal_quantiles, platt
from trader.models.linear import Linear
from trader.models.rows import purged_tail

NAMES = ("signal", "wildness", "noise")


def _market(seed: int, n_slices: int, slope: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Return a panel of ten symbols whose errors are normal, of size exp(wildness / 2)."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_slices, 10, 3))
    target = slope * features[..., 0] + np.exp(0.5 * features[..., 1]) * rng.normal(size=(n_slices, 10))
    return features, target


@pytest.fixture(scope="module")
def fitted() -> Linear:
    features, target = _market(0, 2000)
    return Linear(alpha=1e-6).fit_panel(features, target, feature_names=NAMES)


def test_platt_is_the_penalised_logistic_regression() -> None:
    """Its odds are those of scikit-learn's logistic regression on z-scores with the same penalty and smooth labels."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    scores = 0.3 + 0.2 * rng.normal(size=4000)
    up = rng.random(4000) < 1 / (1 + np.exp(-3.0 * (scores - 0.2)))
    weight = rng.random(4000) + 0.5
    weight /= weight.mean()
    risen, fallen = weight[up].sum(), weight[~up].sum()
    chance = np.where(up, (risen + 1) / (risen + 2), 1 / (fallen + 2))
    z = ((scores - scores.mean()) / scores.std())[:, None]
    oracle = LogisticRegression(C=1 / 25.0, tol=1e-10).fit(  # a row of each outcome, weighing its chance
        np.vstack([z, z]),
        np.repeat([1, 0], 4000),
        sample_weight=np.concatenate([weight * chance, weight * (1 - chance)]),
    )
    intercept, slope = platt(scores, up, weight)
    expected = (oracle.intercept_ + oracle.coef_[0] * z[:, 0]).ravel()
    assert intercept + slope * scores == pytest.approx(expected, abs=1e-5)


def test_platt_of_worthless_scores_is_the_base_rate() -> None:
    """Constant scores, and scores that order the rows wrongly, get a slope of 0 and the smoothed share of rises."""
    up = np.arange(1000) < 700
    for scores in (np.full(1000, 0.4), np.arange(1000.0)):
        intercept, slope = platt(scores, up, np.ones(1000))
        assert slope == 0.0
        assert 1 / (1 + np.exp(-intercept)) == pytest.approx(0.7, abs=0.002)


def test_platt_is_shrunk_when_rows_are_few() -> None:
    """The same relation in fewer rows gets a smaller slope."""
    slopes = []
    for repeats in (5, 50, 500):
        scores = np.repeat([-1.0, 1.0], 10 * repeats)
        up = np.tile(np.arange(10) < 4, 2 * repeats) ^ (scores > 0)
        slopes.append(platt(scores, up, np.ones(scores.size))[1])
    assert 0 < slopes[0] < slopes[1] < slopes[2] < np.log(1.5)


@pytest.mark.parametrize("n", [50, 99, 1000])
def test_conformal_quantiles_are_ranks(n: int) -> None:
    """The upper quantile is the value of rank ceil((n + 1) q), the lower its mirror, the median numpy's."""
    values = np.random.default_rng(n).normal(size=n)
    ranked = np.sort(values)
    found = conformal_quantiles(values, np.ones(n), LEVELS)
    for position, level in ((3, 0.75), (4, 0.95)):
        rank = int(np.ceil((n + 1) * level - 1e-9))
        assert found[position] == ranked[rank - 1]
        assert found[4 - position] == ranked[n - rank]
    assert found[2] == pytest.approx(np.median(values))


def test_conformal_intervals_cover_what_they_promise() -> None:
    """Over many draws of 60 values, a fresh value lies in the 90 % interval at least so often, and not much more."""
    rng = np.random.default_rng(7)
    inside = 0.0
    for _ in range(600):
        low, high = conformal_quantiles(rng.normal(size=60), np.ones(60), (0.05, 0.95))
        inside += stats.norm.cdf(high) - stats.norm.cdf(low)
    assert 0.90 <= inside / 600 < 0.93


def test_weights_of_quantiles_count_values() -> None:
    """A value of weight 3 is as three values."""
    values, weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.0, 3.0, 1.0, 1.0, 1.0])
    assert (
        conformal_quantiles(values, weight, (0.5,))[0]
        == conformal_quantiles(np.repeat(values, weight.astype(int)), np.ones(7), (0.5,))[0]
    )


def test_forecast_recovers_a_known_distribution(fitted: Linear) -> None:
    """Quantiles, volatility and chances are close to those the market was made with, cell by cell."""
    features, _ = _market(1, 200)
    forecast = fitted.forecast(features)
    mean, spread = 0.5 * features[..., 0], np.exp(0.5 * features[..., 1])
    usual = np.abs(features[..., 1]) < 2.0
    assert forecast.score == pytest.approx(mean, abs=0.1)
    assert (forecast.volatility / spread)[usual] == pytest.approx(np.ones(usual.sum()), abs=0.25)
    for position, level in enumerate(forecast.levels):
        expected = mean + spread * stats.norm.ppf(level)
        assert np.abs(forecast.quantiles[..., position] - expected)[usual].mean() < 0.1
    truth = stats.norm.cdf(mean / spread)
    assert np.corrcoef(forecast.probability_up.ravel(), truth.ravel())[0, 1] > 0.9
    assert forecast.probability_up.mean() == pytest.approx(truth.mean(), abs=0.03)


def test_coverage_holds_where_it_is_wild_and_where_it_is_calm(fitted: Linear) -> None:
    """The 90 % interval covers nine tenths in either half of the market, because its width follows the spread."""
    features, target = _market(2, 1000)
    forecast = fitted.forecast(features)
    inside = (target > forecast.quantiles[..., 0]) & (target <= forecast.quantiles[..., -1])
    for half in (features[..., 1] > 0, features[..., 1] <= 0):
        assert inside[half].mean() == pytest.approx(0.9, abs=0.03)


def test_labels_of_the_gap_teach_the_calibration_nothing() -> None:
    """Head and tail are parted: labels between them change the model, but not what it is calibrated on."""
    features, target = _market(3, 400)
    head, tail = purged_tail(400)
    assert (head, tail) == (300, 320)
    changed = target.copy()
    changed[head:tail] += 5.0
    models = [Linear().fit_panel(features, y, feature_names=NAMES) for y in (target, changed)]
    assert models[0].intercept != models[1].intercept
    arrays = [model.calibration.arrays() for model in models]
    assert all(np.array_equal(arrays[0][key], arrays[1][key]) for key in arrays[0])


def test_warm_up_changes_nothing() -> None:
    """Instants without a usable row before the others leave model and calibration as they are."""
    features, target = _market(4, 200)
    warm = np.concatenate([np.full((300, 10, 3), np.nan), features])
    plain = Linear().fit_panel(features, target, feature_names=NAMES).forecast(features)
    late = Linear().fit_panel(warm, np.concatenate([np.zeros((300, 10)), target]), feature_names=NAMES)
    assert np.array_equal(late.forecast(features).quantiles, plain.quantiles)


@pytest.mark.parametrize(("n_rows", "can"), [(5 * MIN_ROWS, True), (5 * MIN_ROWS - 5, False)])
def test_rows_that_a_calibration_needs(n_rows: int, can: bool) -> None:
    """Fifty rows must be held out."""
    rows = np.random.default_rng(0).normal(size=(n_rows, 3))
    assert (Linear().fit(rows, rows[:, 0], feature_names=NAMES).calibration is not None) is can


def test_a_model_without_error_is_survived() -> None:
    """Residuals that are all but zero give finite, narrow quantiles."""
    rows = np.random.default_rng(0).normal(size=(600, 3))
    forecast = Linear(alpha=1e-12, clip=50.0).fit(rows, rows[:, 0], feature_names=NAMES).forecast(rows[None])
    assert np.isfinite(forecast.quantiles).all()
    assert np.ptp(forecast.quantiles, axis=-1).max() < 1e-6
