"""The breakdown test beside simulations whose correlations are known."""

from __future__ import annotations

import numpy as np
import pytest

from risk.correlation.breakdown import Breakdown, detect_breakdown
from risk.correlation.devolatilise import Devolatiliser, devolatilised
from risk.panel import ReturnPanel
from tests.support.returns import garch_returns
from trader.core.errors import DataError


def _panel(returns: np.ndarray) -> ReturnPanel:
    return ReturnPanel.of([f"A{i}" for i in range(returns.shape[1])], returns)


def _judge(seed: int, correlation: float | np.ndarray) -> Breakdown:
    return detect_breakdown(_panel(garch_returns(580, 8, seed, correlation=correlation)), n_resamples=199, seed=seed)


def test_false_alarms() -> None:
    """At 5 %, on heavy-tailed, autocorrelated returns with clustered volatility: at most 5 % and noise (n = 100)."""
    found = [_judge(seed, 0.35) for seed in range(1000, 1100)]
    # 5 % of 100 is 5 with a deviation of 2.2.
    for p_values in (
        [f.p_value for f in found],
        [f.mean_p for f in found],
        [f.matrix_p for f in found],
        [f.pairs[0].adjusted_p for f in found],
    ):
        assert sum(p < 0.05 for p in p_values) <= 11
    assert np.mean([p.p_value < 0.05 for f in found for p in f.pairs]) < 0.08
    assert 0.35 < np.mean([f.mean_p for f in found]) < 0.65


def test_finds_breaks() -> None:
    """From .35 to .65 in the last 60 of 560 periods is found in more than four of five; so is a break of one pair."""
    path = np.r_[np.full(520, 0.35), np.full(60, 0.65)]
    assert sum(_judge(seed, path).p_value < 0.05 for seed in range(30)) > 24

    returns = garch_returns(580, 8, 5)
    returns[-60:, 3] = 0.2 * returns[-60:, 3] - returns[-60:, 6]
    worst = detect_breakdown(_panel(returns), n_resamples=199).pairs[0]
    assert (worst.first, worst.second) == ("A3", "A6")
    assert worst.now < -0.5
    assert worst.adjusted_p < 0.05


def test_a_wild_month_is_no_break() -> None:
    """Volatility that rises fourfold with the correlation unchanged: still no more alarms than promised."""
    n_alarms = 0
    for seed in range(30):
        returns = garch_returns(580, 8, seed)
        returns[-60:] *= 4.0
        n_alarms += detect_breakdown(_panel(returns.clip(-0.99)), n_resamples=199, seed=seed).p_value < 0.05
    assert n_alarms <= 5


def test_what_stands_still_is_left_out() -> None:
    returns = garch_returns(580, 4, 1)
    returns[-60:, 2] = 0.0
    found = detect_breakdown(_panel(returns), n_resamples=99)
    assert found.warnings == ("A2 stood still; left out",)
    assert len(found.pairs) == 3
    assert found.to_dict()["p_value"] == found.p_value
    assert (found.n_recent, found.n_reference) == (60, 500)


def test_same_seed_same_answer() -> None:
    assert _judge(3, 0.35) == _judge(3, 0.35)


def test_errors_name_what_is_allowed() -> None:
    panel = _panel(garch_returns(200, 3, 1))
    with pytest.raises(DataError, match="n_recent=10"):
        detect_breakdown(panel, 10)
    with pytest.raises(DataError, match="200 periods; 90 recent"):
        detect_breakdown(panel, 90)
    with pytest.raises(DataError, match="n_resamples=9 "):
        detect_breakdown(panel, n_resamples=9)
    with pytest.raises(DataError, match="2 or more"):
        detect_breakdown(_panel(np.zeros((300, 2))))


def test_volatilities_known_before() -> None:
    """The recursion written out; rows one by one give the same; what hardly moves is not blown up."""
    returns = garch_returns(100, 3, 2)
    found = devolatilised(returns, 10.0)
    decay, variance = 0.5**0.1, np.mean(returns[:20] ** 2, axis=0)
    for t in range(100):
        np.testing.assert_allclose(found[t], returns[t] / np.sqrt(variance), rtol=1e-12)
        variance = decay * variance + (1 - decay) * returns[t] ** 2
    live = Devolatiliser(returns[:20], 10.0)
    assert all((live(returns[t : t + 1])[0] == found[t]).all() for t in range(100))

    returns[:60, 1] = 0.0
    assert np.abs(devolatilised(returns)[60:, 1]).max() < 1000.0
    with pytest.raises(DataError, match="all 0"):
        devolatilised(np.zeros((30, 2)))
    with pytest.raises(DataError, match="halflife=0"):
        devolatilised(returns, 0.0)
    with pytest.raises(DataError, match="finite"):
        devolatilised(np.full((30, 2), np.nan))
