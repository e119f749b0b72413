"""The last known price of every symbol, and how old it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.snapshot import pack, restore_into
from trader.portfolio.kernels import PriceArrays, carry_prices

__all__ = ["LastPrices"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class LastPrices:
    """Carries closes forward.

    Examples
    --------
    >>> last = LastPrices(2)
    >>> last.update(1, np.array([10.0, 4.0]))
    array([nan, nan])
    >>> last.update(2, np.array([np.nan, 5.0]))
    array([ nan, 0.25])
    >>> last.update(3, np.array([11.0, np.nan])).round(3)
    array([0.1, nan])
    >>> last.prices.tolist(), last.ts_ns.tolist()
    ([11.0, 5.0], [3, 2])
    """

    def __init__(self, n_symbols: int) -> None:
        self.prices: FloatArray = np.full(n_symbols, np.nan)
        """Shape (n_symbols,), quote currency; NaN before a symbol's first bar."""
        self.ts_ns: IntArray = np.zeros(n_symbols, np.int64)
        """Close stamp of the bar each price comes from, shape (n_symbols,)."""
        self._close: FloatArray = np.empty(n_symbols)
        self._returns: FloatArray = np.empty(n_symbols)

    @property
    def arrays(self) -> PriceArrays:
        """What a compiled loop carries forward."""
        return PriceArrays(self.prices, self.ts_ns)

    def update(self, ts_ns: int, close: FloatArray) -> FloatArray:
        """Take the closes of one instant, shape (n_symbols,), NaN where there is no bar; return the returns.

        A return is simple, and runs from the symbol's last price before; NaN where a symbol has no bar, or no
        price before it. The array is used again by the next call.
        """
        self._close[:] = close  # a copy has one memory layout whatever the source: the kernel is compiled once
        carry_prices(ts_ns, self._close, self.prices, self.ts_ns, self._returns)
        return self._returns

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {"prices": pack(self.prices), "ts_ns": pack(self.ts_ns)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        restore_into(self.prices, state["prices"], "prices")
        restore_into(self.ts_ns, state["ts_ns"], "ts_ns")
