"""Targets: entry one bar after the signal, in units of volatility, nothing from the future in the scale."""

from __future__ import annotations

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.models.targets import forward_returns, scaled_target, trailing_volatility


@pytest.fixture(scope="module")
def closes() -> np.ndarray:
    return np.exp(np.cumsum(np.random.default_rng(0).normal(size=(300, 6)) * 0.01, axis=0))


def test_entry_is_the_price_after_the_signal(closes: np.ndarray) -> None:
    """The return of instant t runs from the close of t+1 to that of t+1+horizon; the last ones are unknown."""
    forward = forward_returns(closes, horizon=5)
    assert forward[100, 2] == closes[106, 2] / closes[101, 2] - 1
    assert np.isnan(forward[-6:]).all()
    assert np.isfinite(forward[:-6]).all()


def test_the_close_of_the_signal_itself_is_not_in_the_target(closes: np.ndarray) -> None:
    """Moving the close of t leaves the forward return of t as it is: nobody can trade at that price."""
    moved = closes.copy()
    moved[100] *= 1.5
    assert np.array_equal(forward_returns(moved, 5)[100], forward_returns(closes, 5)[100])


def test_unknown_prices_make_unknown_returns(closes: np.ndarray) -> None:
    """A hole at the signal, the entry or the end of the window gives NaN, elsewhere it does not."""
    holed = closes.copy()
    holed[100, 0] = np.nan
    unknown = np.isnan(forward_returns(holed, 5)[:, 0])
    assert np.flatnonzero(unknown[:200]).tolist() == [94, 99, 100]


def test_volatility_is_the_root_mean_square_of_the_window(closes: np.ndarray) -> None:
    """Sixty log returns up to and including the instant's own."""
    returns = np.diff(np.log(closes), axis=0)
    assert trailing_volatility(closes)[150] == pytest.approx(np.sqrt((returns[90:150] ** 2).mean(axis=0)))


def test_volatility_knows_no_future(closes: np.ndarray) -> None:
    """Later prices change no bit of it."""
    changed = closes.copy()
    changed[151:] = 1e6
    assert np.array_equal(trailing_volatility(changed)[:151], trailing_volatility(closes)[:151], equal_nan=True)


def test_volatility_needs_enough_moves(closes: np.ndarray) -> None:
    """Unknown before twenty returns, and for a price that stands still."""
    still = closes.copy()
    still[:, 1] = 7.0
    volatility = trailing_volatility(still)
    assert np.isnan(volatility[:20]).all()
    assert np.isfinite(volatility[20:, 0]).all()
    assert np.isnan(volatility[:, 1]).all()


def test_one_wild_price_leaves_no_trace_after_the_window(closes: np.ndarray) -> None:
    """Once a jump has left the window, volatility is what it would be without it."""
    jumped = closes.copy()
    jumped[50] *= 1e9
    assert trailing_volatility(jumped)[112:] == pytest.approx(trailing_volatility(closes)[112:], rel=1e-12)


def test_target_has_unit_scale(closes: np.ndarray) -> None:
    """Returns of a random walk, divided by their volatility over the horizon, have a deviation near 1."""
    target = scaled_target(np.exp(np.cumsum(np.random.default_rng(1).normal(size=(4000, 8)) * 0.02, axis=0)), 5)
    assert np.nanstd(target) == pytest.approx(np.sqrt(7 / 8), rel=0.05)


def test_target_is_demeaned_over_symbols(closes: np.ndarray) -> None:
    """Each instant's targets sum to 0, unless there are fewer than five of them."""
    assert np.nansum(scaled_target(closes, 5), axis=1) == pytest.approx(np.zeros(300), abs=1e-10)
    plain = scaled_target(closes[:, :4], 5, demean=False)
    assert np.array_equal(scaled_target(closes[:, :4], 5), plain, equal_nan=True)
    assert np.abs(np.nansum(plain, axis=1)).max() > 0.1


@pytest.mark.parametrize(("horizon", "delay"), [(0, 1), (1, -1)])
def test_bad_windows_are_named(closes: np.ndarray, horizon: int, delay: int) -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=f"horizon={horizon}, delay={delay}"):
        forward_returns(closes, horizon, delay)


def test_history_shorter_than_the_window_is_unknown() -> None:
    """Too few instants give a panel of NaN, not an error."""
    assert np.isnan(scaled_target(np.ones((4, 3)), 5)).all()
    assert scaled_target(np.ones((0, 3)), 5).shape == (0, 3)
