"""Probabilities against scikit-learn, the exact decomposition and simulated calibration."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from trader.core.errors import DataError
from trader.validation.reliability import judge_probabilities, log_loss


def _forecasts(n: int, m: int, seed: int, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and outcomes drawn from them; with another sharpness the log odds are scaled by it."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.2, 1.0, size=(n, m))
    outcome = (rng.random((n, m)) < 1 / (1 + np.exp(-odds))).astype(float)
    return 1 / (1 + np.exp(-sharpness * odds)), outcome


def test_scores_are_those_of_scikit_learn() -> None:
    """Brier score, log loss and the reliability curve, with unknown rows left out."""
    p, y = _forecasts(200, 5, seed=1)
    p[7], y[9, 2] = np.nan, np.nan
    known = np.isfinite(p) & np.isfinite(y)
    found = judge_probabilities(p, y, n_resamples=50)
    assert found.n_rows == known.sum() == 994
    assert found.brier.score == pytest.approx(metrics.brier_score_loss(y[known], p[known]))
    assert found.log_loss == pytest.approx(metrics.log_loss(y[known], p[known]))
    assert found.base_log_loss == pytest.approx(metrics.log_loss(y[known], np.full(994, y[known].mean())))
    for bins, strategy in (("width", "uniform"), ("count", "quantile")):
        curve = judge_probabilities(p, y, bins=bins, n_resamples=50).curve  # type: ignore[arg-type]
        frequency, probability = calibration_curve(y[known], p[known], n_bins=10, strategy=strategy)
        filled = curve.count > 0
        # On an edge, scikit-learn puts a row into the bin below.
        assert curve.frequency[filled] == pytest.approx(frequency, abs=0.011)
        assert curve.probability[filled] == pytest.approx(probability, abs=0.003)


@pytest.mark.parametrize("n_bins", [1, 3, 10])
@pytest.mark.parametrize("bins", ["width", "count"])
def test_the_brier_score_is_the_sum_of_its_parts(n_bins: int, bins: str) -> None:
    """Reliability - resolution + uncertainty + what differs inside the bins, to rounding."""
    p, y = _forecasts(100, 4, seed=2, sharpness=2.0)
    parts = judge_probabilities(p, y, n_bins=n_bins, bins=bins, n_resamples=10).brier  # type: ignore[arg-type]
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(parts.score, abs=1e-12)


def test_murphys_parts_by_hand() -> None:
    """Two forecasts, .2 and .8, ten times each; the event came 3 and 8 times."""
    p = np.repeat([0.2, 0.8], 10)[:, None]
    y = np.r_[np.ones(3), np.zeros(7), np.ones(8), np.zeros(2)][:, None]
    found = judge_probabilities(p, y, n_resamples=10)
    assert found.brier.reliability == pytest.approx((0.1**2 + 0.0) / 2)
    assert found.brier.resolution == pytest.approx((0.25**2 + 0.25**2) / 2)
    assert found.brier.uncertainty == pytest.approx(0.55 * 0.45)
    assert found.brier.within == pytest.approx(0.0)
    assert found.calibration_error == pytest.approx(0.05)
    assert found.base_brier == pytest.approx(0.55 * 0.45)
    assert found.brier_skill == pytest.approx(1 - found.brier.score / (0.55 * 0.45))


def test_true_probabilities_lie_on_the_diagonal() -> None:
    """In 95 % intervals of well-filled bins; overconfident ones do not, and their calibration error is large."""
    true = judge_probabilities(*_forecasts(4000, 5, seed=3))
    filled = true.curve.count > 500
    inside = (true.curve.low <= true.curve.probability) & (true.curve.probability <= true.curve.high)
    assert filled.sum() >= 8
    assert inside[filled].mean() >= 0.85
    assert true.calibration_error < 0.02
    assert true.brier_skill > 0.1
    overconfident = judge_probabilities(*_forecasts(4000, 5, seed=3, sharpness=3.0))
    curve = overconfident.curve
    assert (curve.high[-1] < curve.probability[-1]) & (curve.low[0] > curve.probability[0])
    assert overconfident.calibration_error > 0.1
    assert overconfident.brier.reliability > 20 * true.brier.reliability


def test_intervals_know_that_symbols_share_an_instant() -> None:
    """Where all symbols of an instant have one outcome, ten of them are no more than one."""
    p, y = _forecasts(500, 1, seed=4)
    alone = judge_probabilities(p, y, n_bins=4).curve
    shared = judge_probabilities(np.repeat(p, 10, axis=1), np.repeat(y, 10, axis=1), n_bins=4).curve
    assert shared.frequency == pytest.approx(alone.frequency)
    assert shared.high - shared.low == pytest.approx(alone.high - alone.low)


def test_the_base_rate_of_training_can_be_given() -> None:
    """The base forecast says what training knew, and may be wrong about what followed."""
    p, y = _forecasts(300, 4, seed=5)
    own = judge_probabilities(p, y, n_resamples=10)
    told = judge_probabilities(p, y, base_rate=0.2, n_resamples=10)
    assert own.base_rate == y.mean()
    assert told.base_rate == 0.2
    assert told.base_brier > own.base_brier
    assert told.base_log_loss > own.base_log_loss


def test_certainty_that_is_wrong_costs_a_finite_loss() -> None:
    """0 and 1 count as 1e-15 from there."""
    assert log_loss(np.array([0.0]), np.array([1.0])) == pytest.approx(-math.log(1e-15))
    assert log_loss(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == pytest.approx(0.0, abs=1e-12)


def test_report_is_ready_for_json() -> None:
    """Plain values; empty bins are null."""
    content = judge_probabilities(np.full((30, 2), 0.5), np.ones((30, 2)), n_resamples=10).to_dict()
    assert json.loads(json.dumps(content)) == content
    assert content["curve"]["frequency"] == [None] * 5 + [1.0] + [None] * 4
    assert content["brier_skill"] is None


@pytest.mark.parametrize(
    ("probability", "outcome", "arguments", "message"),
    [
        (1.5, 1.0, {}, "1.5 to 1.5 are given"),
        (0.5, 2.0, {}, "other than 0, 1 and NaN"),
        (0.5, 1.0, {"n_bins": 0}, "n_bins=0"),
        (0.5, 1.0, {"bins": "odd"}, "bins='odd'"),
        (math.nan, 1.0, {}, "no row has both"),
    ],
)
def test_bad_arguments_are_named(
    probability: float, outcome: float, arguments: dict[str, object], message: str
) -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=message):
        judge_probabilities(np.full((4, 2), probability), np.full((4, 2), outcome), **arguments)  # type: ignore[arg-type]
