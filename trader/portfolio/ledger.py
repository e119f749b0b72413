"""The ledger: positions, cash and profit, derived from fills and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.orders import FillBatch, first_fill_id
from trader.core.snapshot import pack, restore_into
from trader.portfolio.kernels import LedgerArrays, book_fills, mark_known, market_value, rises_above, unrealised_pnl

__all__ = ["Ledger"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CASH, _COMMISSION, _SPREAD, _IMPACT, _TRADED = range(5)


class Ledger:
    """Books fills by the average-cost method, each once.

    At every moment, to rounding::

        cash + positions · marks = initial_cash + realised + unrealised - commission

    Spread and impact are inside the prices paid, so they lower realised and unrealised profit; their totals
    are kept for reports only.

    Parameters
    ----------
    n_symbols : int
    initial_cash : float
        In currency.

    Examples
    --------
    >>> ledger = Ledger(1, 1000.0)
    >>> buy = FillBatch(fill_id=[1], order_id=[0], symbol_id=[0], side=[1], quantity=[5.0], price=[100.0],
    ...                 commission=[1.0], spread_cost=[0.0], impact_cost=[0.0], ts_ns=[0])
    >>> ledger.apply(buy), ledger.apply(buy)
    (1, 0)
    >>> ledger.mark(np.array([110.0]))
    >>> ledger.cash, ledger.equity, ledger.unrealised_pnl
    (499.0, 1049.0, 50.0)
    """

    def __init__(self, n_symbols: int, initial_cash: float) -> None:
        self.initial_cash = float(initial_cash)
        self._reset(n_symbols)

    def _reset(self, n_symbols: int) -> None:
        self.positions: FloatArray = np.zeros(n_symbols)
        """Units held, shape (n_symbols,); negative is short."""
        self.average_cost: FloatArray = np.zeros(n_symbols)
        """What a unit of the open position cost, shape (n_symbols,); 0 where there is none."""
        self.realised: FloatArray = np.zeros(n_symbols)
        """Profit of closed quantities before commission, in currency, shape (n_symbols,)."""
        self.repeated_fills = 0
        """Fills that came again and were ignored."""
        self._totals: FloatArray = np.zeros(5)
        self._totals[_CASH] = self.initial_cash
        self._marks: FloatArray = np.full(n_symbols, np.nan)
        self._seen: list[tuple[int, IntArray]] = []
        self._highest = -1
        self._first_unsettled = 0

    @property
    def arrays(self) -> LedgerArrays:
        """What a compiled loop books fills in; it tells `booked` of those that may come again."""
        return LedgerArrays(self.positions, self.average_cost, self.realised, self._totals, self._marks)

    @property
    def cash(self) -> float:
        """Cash in currency."""
        return float(self._totals[_CASH])

    @property
    def commission(self) -> float:
        """Commission paid so far, in currency."""
        return float(self._totals[_COMMISSION])

    @property
    def spread_cost(self) -> float:
        """What half-spreads took so far, in currency; inside the prices paid."""
        return float(self._totals[_SPREAD])

    @property
    def impact_cost(self) -> float:
        """What market impact took so far, in currency; inside the prices paid."""
        return float(self._totals[_IMPACT])

    @property
    def traded_value(self) -> float:
        """Sum of quantity times price over all fills, in currency."""
        return float(self._totals[_TRADED])

    @property
    def realised_pnl(self) -> float:
        """Profit of what was closed, before commission, in currency."""
        return float(self.realised.sum())

    @property
    def unrealised_pnl(self) -> float:
        """Profit of what is open at the last marks, in currency."""
        return float(unrealised_pnl(self.positions, self._marks, self.average_cost))

    @property
    def equity(self) -> float:
        """Cash and positions at the last marks, in currency; a position never marked counts at its cost."""
        return self.cash + float(market_value(self.positions, self._marks, self.average_cost))

    def apply(self, fills: FillBatch) -> int:
        """Book fills in the order given; return how many were new. One known by its id is ignored and counted.

        Raises
        ------
        DataError
            If a fill names an unknown symbol; nothing is booked then.
        """
        count = len(fills)
        if not count:
            return 0
        if rises_above(fills.fill_id, self._highest):
            new, highest = fills, int(fills.fill_id[-1])
        else:
            new, highest = self._new_ones(fills), int(fills.fill_id.max())
        unknown = book_fills(
            new.symbol_id,
            new.side,
            new.quantity,
            new.price,
            new.commission,
            new.spread_cost,
            new.impact_cost,
            self.positions,
            self.average_cost,
            self.realised,
            self._totals,
        )
        if unknown >= 0:
            raise DataError(
                f"fill {new.fill_id[unknown]} has symbol_id={new.symbol_id[unknown]}; "
                f"0 to {self.positions.size - 1} are known"
            )
        if len(new):
            self._remember(highest, new.fill_id)
        self.repeated_fills += count - len(new)
        return len(new)

    def booked(self, fill_id: IntArray) -> None:
        """Remember the ids of fills of one instant that were booked in `arrays`."""
        if fill_id.size:
            self._remember(int(fill_id.max()), fill_id)

    def _remember(self, highest: int, fill_id: IntArray) -> None:
        self._seen.append((highest, fill_id))
        self._highest = max(self._highest, highest)

    def _new_ones(self, fills: FillBatch) -> FillBatch:
        known = {fill_id for _, ids in self._seen for fill_id in ids.tolist()}
        fresh = np.zeros(len(fills), np.bool_)
        for row, fill_id in enumerate(fills.fill_id.tolist()):
            fresh[row] = fill_id >= self._first_unsettled and fill_id not in known
            known.add(fill_id)
        return fills if fresh.all() else fills.take(fresh)

    def settle_before(self, order_id: int) -> None:
        """Declare that no order below `order_id` can fill any more: a fill of one is a repeat.

        That bounds what must be remembered to recognise repeats by the orders that are open.
        """
        self._first_unsettled = max(first_fill_id(order_id), self._first_unsettled)
        self._highest = max(self._highest, self._first_unsettled - 1)
        self._seen = [batch for batch in self._seen if batch[0] >= self._first_unsettled]

    def mark(self, prices: FloatArray) -> None:
        """Value positions at `prices`, shape (n_symbols,); NaN keeps the mark before it."""
        mark_known(prices, self._marks)

    def rebuild(self, fills: FillBatch) -> None:
        """Start anew and book stored fills; the same bits result if they come in the order they were booked."""
        self._reset(self.positions.size)
        self.apply(fills)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {
            "positions": pack(self.positions),
            "average_cost": pack(self.average_cost),
            "realised": pack(self.realised),
            "totals": pack(self._totals),
            "marks": pack(self._marks),
            "seen": [fill_id for _, ids in self._seen for fill_id in ids.tolist()],
            "highest": self._highest,
            "first_unsettled": self._first_unsettled,
            "repeated_fills": self.repeated_fills,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        restore_into(self.positions, state["positions"], "positions")
        restore_into(self.average_cost, state["average_cost"], "average_cost")
        restore_into(self.realised, state["realised"], "realised")
        restore_into(self._totals, state["totals"], "totals")
        restore_into(self._marks, state["marks"], "marks")
        self._seen = [(max(state["seen"]), np.array(state["seen"], np.int64))] if state["seen"] else []
        self._highest = int(state["highest"])
        self._first_unsettled = int(state["first_unsettled"])
        self.repeated_fills = int(state["repeated_fills"])
