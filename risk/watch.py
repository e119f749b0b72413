"""What a portfolio's risk is measured on while it trades: the prices of the last bars."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.snapshot import pack, unpack

__all__ = ["Holdings", "PriceWindow", "RiskView", "RiskWatch", "nothing_known"]

FloatArray = NDArray[np.float64]


class PriceWindow:
    """Keeps the last known prices of the newest bars, and makes returns of them.

    Prices of instants that were decided on are in the store, so the state holds only those of the warm-up, and only
    as long as they are still in the window.

    Parameters
    ----------
    n_symbols : int
    n_returns : int
        Returns it looks back; 1 more prices are kept.

    Examples
    --------
    >>> window = PriceWindow(2, 2)
    >>> for ts_ns, prices in enumerate([[10.0, np.nan], [11.0, 4.0], [11.0, 5.0]]):
    ...     window.add(ts_ns, np.array([prices]))
    >>> window.returns().round(3).tolist()
    [[0.1, nan], [0.0, 0.25]]
    """

    def __init__(self, n_symbols: int, n_returns: int) -> None:
        self.n_kept = n_returns + 1
        """Prices kept at most."""
        self._rows: FloatArray = np.empty((2 * self.n_kept, n_symbols))
        self._first = self._end = 0
        self._n_warm_up = 0
        self.ts_ns = -1
        """Time of the newest prices; -1 before the first."""

    def __len__(self) -> int:
        return self._end - self._first

    def warm_up(self, ts_ns: int, prices: FloatArray) -> None:
        """Take the prices of an instant that nothing is decided on, shape (n_symbols,)."""
        self.add(ts_ns, prices[None])
        self._n_warm_up = len(self)

    def add(self, ts_ns: int, prices: FloatArray) -> None:
        """Take last known prices (n_instants, n_symbols), oldest first, of which the newest are of `ts_ns`."""
        newest = prices[-self.n_kept :]
        n_new = len(newest)
        if self._end + n_new > len(self._rows):
            n_old = min(len(self), self.n_kept)
            self._rows[:n_old] = self._rows[self._end - n_old : self._end].copy()
            dropped = len(self) - n_old
            self._first, self._end = 0, n_old
            self._n_warm_up = max(self._n_warm_up - dropped, 0)
        self._rows[self._end : self._end + n_new] = newest
        self._end += n_new
        dropped = max(len(self) - self.n_kept, 0)
        self._first += dropped
        self._n_warm_up = max(self._n_warm_up - dropped, 0)
        self.ts_ns = ts_ns

    def returns(self, n_later: int = 0) -> FloatArray:
        """Return simple returns from bar to bar, shape (n_bars - 1, n_symbols), without the newest `n_later` bars.

        A symbol without a new price returns 0; NaN before it has two.
        """
        rows = self._rows[self._first : max(self._end - n_later, self._first)]
        return np.asarray(rows[1:] / rows[:-1] - 1.0, np.float64)

    def state(self) -> dict[str, Any]:
        """Return the time and the prices of the warm-up that are still kept, ready for JSON."""
        return {"ts_ns": self.ts_ns, "warm_up": pack(self._rows[self._first : self._first + self._n_warm_up])}

    def restore(self, state: Mapping[str, Any], decided: FloatArray) -> None:
        """Go on from what `state` returned and the prices of the last decisions, shape (n_decisions, n_symbols)."""
        self._first = self._end = self._n_warm_up = 0
        warm_up = unpack(state["warm_up"], np.float64)
        if len(warm_up):
            self.add(0, warm_up)
            self._n_warm_up = len(self)
        if len(decided):
            self.add(0, decided)
        self.ts_ns = int(state["ts_ns"])


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RiskView:
    """What was known of risk at an instant.

    Parameters
    ----------
    ts_ns : int
    returns : ndarray of shape (n_bars, n_symbols)
        Of the bars before, oldest first; NaN where a symbol has no price yet.
    """

    ts_ns: int
    returns: FloatArray


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """What a portfolio holds at an instant, and the past of its universe.

    Parameters
    ----------
    ts_ns : int
        -1 before anything is known.
    equity : float
        In currency.
    drawdown : float
        Loss from the highest equity, as a fraction.
    positions, prices : ndarray of shape (n_symbols,)
        Units held, and last known prices, NaN where there is none.
    returns : ndarray of shape (n_bars, n_symbols)
        Of the bars before, oldest first; NaN where a symbol had no price yet.
    """

    ts_ns: int
    equity: float
    drawdown: float
    positions: FloatArray
    prices: FloatArray
    returns: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Positions as fractions of equity, shape (n_symbols,); zeros where equity is not positive."""
        if not self.equity > 0.0:
            return np.zeros(len(self.positions))
        return np.asarray(np.nan_to_num(self.positions * self.prices / self.equity), np.float64)


def nothing_known(n_symbols: int) -> RiskView:
    """Return the view of somebody who has seen nothing."""
    return RiskView(-1, np.empty((0, n_symbols)))


class RiskWatch:
    """Follows prices, and renews its view of risk every so many decisions.

    Parameters
    ----------
    n_symbols : int
    n_returns : int
        Bars that a view looks back.
    every : int, default=1
        Decisions from one view to the next.
    """

    def __init__(self, n_symbols: int, n_returns: int, every: int = 1) -> None:
        self._n_returns = n_returns
        self._every = every
        self._window = PriceWindow(n_symbols, n_returns + every - 1)
        self._n_later = 0
        self._view_ts_ns = -1
        self._view: RiskView | None = None

    @property
    def n_kept(self) -> int:
        """Prices of past decisions that it needs to go on."""
        return self._window.n_kept

    def warm_up(self, ts_ns: int, prices: FloatArray) -> None:
        """Take the prices of an instant that nothing is decided on, shape (n_symbols,)."""
        self._window.warm_up(ts_ns, prices)
        self._renew(ts_ns)

    def add(self, ts_ns: int, prices: FloatArray) -> None:
        """Take the prices at decisions, shape (n_decisions, n_symbols), the newest of which are of `ts_ns`."""
        self._window.add(ts_ns, prices)
        self._n_later += len(prices)
        if self._n_later >= self._every:
            self._renew(ts_ns)

    def latest(self) -> RiskView:
        """Return everything known by now."""
        return RiskView(self._window.ts_ns, self._window.returns()[-self._n_returns :])

    def view(self) -> RiskView:
        """Return the view that was renewed last."""
        if self._view is None:
            returns = self._window.returns(self._n_later)[-self._n_returns :]
            self._view = RiskView(self._view_ts_ns, returns)
        return self._view

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return self._window.state() | {"n_later": self._n_later, "view_ts_ns": self._view_ts_ns}

    def restore(self, state: Mapping[str, Any], decided: FloatArray) -> None:
        """Go on from what `state` returned and the prices of the last decisions, shape (n_decisions, n_symbols)."""
        self._window.restore(state, decided)
        self._n_later, self._view_ts_ns = int(state["n_later"]), int(state["view_ts_ns"])
        self._view = None

    def _renew(self, ts_ns: int) -> None:
        self._n_later, self._view_ts_ns, self._view = 0, ts_ns, None
