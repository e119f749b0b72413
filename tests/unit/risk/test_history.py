"""Value at risk along a portfolio's way: each bar forecast from what was known before it."""

from __future__ import annotations

import numpy as np
import pytest

from risk.history import risk_history
from risk.var.historical import historical
from trader.core.errors import DataError

RNG = np.random.default_rng(4)
RETURNS = RNG.standard_t(4, (300, 3)) * 0.01
PRICES = 100 * np.cumprod(1 + np.vstack([np.zeros(3), RETURNS]), axis=0)
WEIGHTS = RNG.normal(size=(301, 3)) * 0.3


def test_by_hand() -> None:
    """A bar in the middle: the window before it at the weights before it, and what these made in it."""
    found = risk_history(PRICES, WEIGHTS, window=80, min_bars=50, level=0.95)
    assert found.bar.tolist() == list(range(51, 301))
    at = int(np.flatnonzero(found.bar == 200)[0])
    var, es = historical(RETURNS[119:199] @ WEIGHTS[199], 0.95)
    assert (found.var[at], found.es[at]) == (pytest.approx(var, rel=1e-9), pytest.approx(es, rel=1e-9))
    assert found.returns[at] == pytest.approx(RETURNS[199] @ WEIGHTS[199], rel=1e-9)
    assert found.exceeded[at] == (found.returns[at] < -var)
    assert 2 <= found.exceeded.sum() <= 30


def test_the_future_changes_nothing() -> None:
    """Cut off anywhere, what was said before is the same to the bit."""
    whole = risk_history(PRICES, WEIGHTS, window=80, min_bars=50)
    for end in (60, 133, 250):
        part = risk_history(PRICES[:end], WEIGHTS[:end], window=80, min_bars=50)
        np.testing.assert_array_equal(part.var, whole.var[: len(part.var)])
        np.testing.assert_array_equal(part.returns, whole.returns[: len(part.bar)])


def test_young_names_and_empty_bars_are_left_out() -> None:
    """Until every name held has enough bars nothing is said; nor where nothing is held."""
    prices, weights = PRICES.copy(), WEIGHTS.copy()
    prices[:100, 2] = np.nan
    weights[:100, 2] = 0.0
    weights[220:230] = 0.0
    found = risk_history(prices, weights, window=80, min_bars=50)
    assert found.bar.tolist() == [*range(51, 101), *range(151, 221), *range(231, 301)]
    with pytest.raises(DataError, match="weights has shape"):
        risk_history(prices, weights[:-1])
    assert risk_history(prices[:20], weights[:20]).bar.size == 0
