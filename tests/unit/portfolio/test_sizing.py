from __future__ import annotations

import numpy as np
import pytest

from trader.portfolio.sizing import Sizer
from trader.portfolio.volatility import EwmaRisk
from trader.settings.sections import SizingSettings

FREE = {"max_weight": 1.0, "max_gross": 50.0, "max_net": 50.0, "max_turnover": 1e6, "rebalance_band": 0.0}


def _risk(n_symbols: int, scale: np.ndarray | float = 0.01, seed: int = 0) -> EwmaRisk:
    rng = np.random.default_rng(seed)
    risk = EwmaRisk(n_symbols, 60.0)
    for row in rng.normal(0.0, 1.0, (200, n_symbols)) * scale:
        risk.update(row)
    return risk


def _target(score: list[float], risk: EwmaRisk, *, current: np.ndarray | None = None, **options: float) -> np.ndarray:
    n = len(score)
    sizer = Sizer(SizingSettings(**{**FREE, **options}))
    return sizer.target(np.array(score), np.full(n, 100.0), np.zeros(n) if current is None else current, risk)


def test_weights_follow_score_over_volatility_and_reach_the_target_volatility() -> None:
    """Against numpy: standardised, divided by volatility, scaled so that w'Σw times bars a year is the target."""
    risk = _risk(4, np.array([0.01, 0.02, 0.03, 0.015]))
    score = np.array([0.4, -0.2, 0.9, 0.1])
    weights = _target(score.tolist(), risk, target_volatility=0.05, bars_per_year=252.0)
    raw = (score - score.mean()) / score.std() / risk.volatility
    raw *= 0.05 / np.sqrt(252.0 * raw @ risk.covariance() @ raw)
    np.testing.assert_allclose(weights, raw, rtol=1e-12)


def test_held_names_count_towards_the_target_volatility() -> None:
    """The portfolio with the abstaining name in it has the target volatility."""
    risk = _risk(4)
    current = np.array([0.2, 0.0, 0.0, 0.0])
    weights = _target([np.nan, 1.0, -0.5, 0.3], risk, current=current, target_volatility=0.06)
    assert weights[0] == 0.2
    assert np.sqrt(252.0 * weights @ risk.covariance() @ weights) == pytest.approx(0.06, rel=1e-12)


def test_an_unreachable_volatility_gives_the_nearest() -> None:
    """Held risk above the target: what may move hedges as far as it can, and no further."""
    risk = _risk(2, seed=4)
    covariance = risk.covariance()
    current = np.array([0.9, 0.0])
    weights = _target([np.nan, -1.0], risk, current=current, target_volatility=0.01)
    best = max(-covariance[0, 1] * 0.9 / covariance[1, 1], -1.0)
    assert weights[1] == pytest.approx(min(best, 0.0), abs=1e-12)


def test_names_without_score_price_or_volatility_keep_their_weight() -> None:
    """Abstaining is holding; a name without a price has no weight to hold."""
    risk = EwmaRisk(4, 60.0)
    for row in np.random.default_rng(1).normal(0.0, 0.01, (30, 4)):
        risk.update(np.where([True, True, True, False], row, np.nan))
    sizer = Sizer(SizingSettings(**FREE))
    current = np.array([0.1, 0.2, 0.0, -0.3])
    target = sizer.target(np.array([0.5, np.nan, 1.0, 1.0]), np.array([1.0, 1.0, np.nan, 1.0]), current, risk)
    assert target[1:].tolist() == [0.2, 0.0, -0.3]
    assert target[0] != 0.1


def test_all_abstaining_changes_nothing() -> None:
    """No view, no trade."""
    current = np.array([0.3, -0.2])
    np.testing.assert_array_equal(_target([np.nan, np.nan], _risk(2), current=current), current)


def test_equal_scores_say_nothing() -> None:
    """A constant prediction is no view across names: the target is flat, or the tilt alone."""
    assert _target([0.7, 0.7, 0.7], _risk(3)).tolist() == [0.0, 0.0, 0.0]
    tilted = _target([0.7, 0.7, 0.7], _risk(3), tilt=0.4)
    np.testing.assert_allclose(tilted, tilted[0])
    assert tilted[0] > 0.0


def test_a_single_name_is_traded_on_its_own_score() -> None:
    """With nothing to compare with, the sign of the score decides."""
    assert _target([0.2], _risk(1))[0] > 0.0 > _target([-0.2], _risk(1))[0]


def test_full_tilt_is_equal_weight() -> None:
    """Scores have no say; the volatility target sets the size."""
    risk = _risk(5)
    weights = _target([5.0, -3.0, 0.1, 2.0, 0.0], risk, tilt=1.0, target_volatility=0.1)
    np.testing.assert_allclose(weights, weights[0])
    assert np.sqrt(252.0 * weights @ risk.covariance() @ weights) == pytest.approx(0.1)


def test_long_only_has_no_short() -> None:
    """Negative shapes are cut, short holdings are bought back."""
    weights = _target([1.0, -1.0, 0.5], _risk(3), current=np.array([0.0, -0.2, 0.0]), long_only=True)
    assert weights.min() >= 0.0
    assert weights[0] > 0.0


def test_an_outlier_is_cut_at_three_deviations() -> None:
    """Among many names, one absurd score counts as three."""
    score = [0.0] * 30
    score[0], score[1] = 1e9, 0.1
    risk = _risk(30)
    weights = _target(score, risk)
    z = np.array(score)
    z = np.minimum((z - z.mean()) / z.std(), 3.0)
    expected = z / risk.volatility
    np.testing.assert_allclose(weights / weights[0], expected / expected[0], rtol=1e-9)


def test_a_price_that_hardly_moves_is_not_believed() -> None:
    """Volatility is floored at a tenth of the mean; a name that never moved abstains."""
    risk = _risk(3, np.array([0.01, 0.01, 1e-9]))
    weights = _target([0.0, -1.0, 1.0], risk, target_volatility=0.005)
    volatility = risk.volatility
    expected = np.array([0.0, -1.0 / volatility[1], 1.0 / (0.1 * volatility.mean())])
    np.testing.assert_allclose(weights / weights[2], expected / expected[2], rtol=1e-9, atol=1e-12)
    frozen = _risk(3, np.array([0.01, 0.01, 0.0]))
    assert _target([0.0, -1.0, 1.0], frozen)[2] == 0.0


def test_the_band_leaves_small_changes_alone_but_closes_positions() -> None:
    """Within the band a name stays; a target of zero always trades."""
    risk = _risk(3)
    aim = _target([1.0, 0.0, -1.0], risk)
    near = aim + np.array([0.004, 0.006, -0.02])
    target = _target([1.0, 0.0, -1.0], risk, current=near, rebalance_band=0.01)
    assert target[0] == near[0]
    assert target[1] == aim[1] == 0.0
    assert target[2] == pytest.approx(aim[2])


def test_turnover_goes_part_of_the_way() -> None:
    """The way to the target is shortened in proportion."""
    risk = _risk(3)
    current = np.array([0.1, 0.0, -0.1])
    aim = _target([1.0, 0.0, -1.0], risk, current=current)
    target = _target([1.0, 0.0, -1.0], risk, current=current, max_turnover=0.05)
    share = 0.05 / np.abs(aim - current).sum()
    np.testing.assert_allclose(target, current + share * (aim - current))


def _equicorrelated(rho: float, n: int = 6) -> EwmaRisk:
    """Return an estimate whose correlations are all `rho`, exactly."""
    risk = _risk(n)
    risk.co_moment[:] = rho + (1.0 - rho) * np.eye(n)
    return risk


@pytest.mark.parametrize("scaling", [0.0, 0.5, 1.0])
def test_lost_diversification_lowers_the_target_volatility(scaling: float) -> None:
    """By the ratio of the volatilities of six equal risks at correlations of .2 and .7, to the power of the setting."""
    options = {"tilt": 1.0, "target_volatility": 0.1, "usual_correlation": 0.2}
    risk = _equicorrelated(0.7)
    weights = _target([1.0] * 6, risk, correlation_scaling=scaling, **options)
    volatility = np.sqrt(252.0 * weights @ risk.covariance() @ weights)
    equal = [np.sqrt(np.full(6, 1 / 6) @ (r + (1 - r) * np.eye(6)) @ np.full(6, 1 / 6)) for r in (0.2, 0.7)]
    assert volatility == pytest.approx(0.1 * (equal[0] / equal[1]) ** scaling, rel=1e-12)


def test_low_correlation_raises_nothing_and_abstaining_names_do_not_count() -> None:
    """Below the usual correlation the target stays; a name without a score has no part in the mean."""
    options = {"tilt": 1.0, "target_volatility": 0.1, "usual_correlation": 0.2}
    calm = _equicorrelated(0.1)
    np.testing.assert_array_equal(
        _target([1.0] * 6, calm, correlation_scaling=1.0, **options), _target([1.0] * 6, calm, **options)
    )
    risk = _equicorrelated(0.1)
    risk.co_moment[0, 1:] = risk.co_moment[1:, 0] = 0.9
    score = [np.nan, 1.0, 1.0, 1.0, 1.0, 1.0]
    np.testing.assert_array_equal(
        _target(score, risk, correlation_scaling=1.0, **options), _target(score, risk, **options)
    )
    assert _target([1.0], _risk(1), correlation_scaling=1.0) == _target([1.0], _risk(1))
