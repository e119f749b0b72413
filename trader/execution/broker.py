"""A broker on paper: fills at prices that come after the decision, with costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.market import MarketSlice
from trader.core.orders import FillBatch, OrderBatch
from trader.core.protocols import BrokerUpdate, Withdrawal
from trader.core.snapshot import pack, unpack
from trader.execution.liquidity import DailyLiquidity, LiquidityArrays
from trader.execution.matching import (
    ENDED_BY_NUMBER,
    ENDED_BY_TIME,
    KNOWN,
    LAST_ID,
    N_OPEN,
    OPEN_ORDER,
    REJECTIONS,
    REPLACED,
    TERMS,
    BookArrays,
    admit_orders,
    match_orders,
)
from trader.settings.sections import ExecutionSettings

__all__ = ["PaperBroker", "withdrawals_of"]

FloatArray = NDArray[np.float64]

_FILL = FillBatch.record_dtype()
_NOTHING = BrokerUpdate(FillBatch.empty())
_BAR_ROWS = ("open", "high", "low", "close", "volume", "spread")
_ENDINGS = {ENDED_BY_TIME: "immediate_or_cancel", ENDED_BY_NUMBER: "too_many_fills", REPLACED: "replaced"}


class PaperBroker:
    """Executes orders against bars; implements `trader.core.protocols.Broker`.

    - An order decided at `t` is active from `t + latency`. It meets the first price known then: the open of a
      bar that begins at or after it, else the close of the bar; never a slice at or before `t`.
    - A market order takes what it meets. A limit order that is marketable on arrival takes too, at the limit
      at worst; one that waits is filled at its limit if a whole bar trades through it (low below a buy's limit,
      high above a sell's; the close where these are unknown).
    - Taking costs half the spread and market impact (`trader.execution.costs`); waiting costs neither.
      Commission is charged on every fill, with the minimum once an order.
    - Where volume is known, the orders of a name may take `max_participation` of each bar's, in whole lots. The
      rest works on (GTC) or is withdrawn after its first bar (IOC).
    - A quantity that is not positive, an unknown symbol, side or kind, and a limit order without a positive
      limit are rejected.
    - An order id at or below the highest seen is a repeat and ignored: ids rise in time.

    Parameters
    ----------
    n_symbols : int
    settings : ExecutionSettings
    """

    def __init__(self, n_symbols: int, settings: ExecutionSettings) -> None:
        self._n_symbols = n_symbols
        self._latency_ns = round(settings.latency_ms * 1e6)
        self._terms = np.zeros(1, TERMS)
        self._terms["half_spread"] = settings.half_spread_bps * 1e-4
        self._terms["impact_coefficient"] = settings.impact_coefficient
        self._terms["assumed_daily_dollar_volume"] = settings.assumed_daily_dollar_volume
        self._terms["max_participation"] = settings.max_participation
        self._terms["commission_rate"] = settings.commission_bps * 1e-4
        self._terms["commission_minimum"] = settings.commission_minimum
        self._terms["lot_size"] = settings.lot_size
        self._bars: FloatArray = np.empty((len(_BAR_ROWS), n_symbols))
        self._ts_open_ns = np.empty(n_symbols, np.int64)
        self._liquidity = DailyLiquidity(n_symbols)
        self._book = np.zeros(max(64, n_symbols), OPEN_ORDER)
        self._unfilled = np.empty_like(self._book)
        self._counts = np.array([0, -1], np.int64)

    @property
    def n_open(self) -> int:
        """How many orders are open."""
        return int(self._counts[N_OPEN])

    @property
    def book(self) -> BookArrays:
        """Open orders, for a compiled loop; there is room for one order a symbol at least."""
        return BookArrays(self._book, self._counts, self._terms, self._latency_ns)

    @property
    def liquidity(self) -> LiquidityArrays:
        """What impact is estimated with, for a compiled loop."""
        return self._liquidity.arrays

    def submit(self, orders: OrderBatch) -> tuple[Withdrawal, ...]:
        """Accept orders; return those it rejects. An id it already knows is ignored."""
        if not len(orders):
            return ()
        self._make_room(len(orders))
        codes = np.empty(len(orders), np.int8)
        self._counts[N_OPEN], n_rejected, self._counts[LAST_ID] = admit_orders(
            self._book,
            self.n_open,
            orders.order_id,
            orders.symbol_id,
            orders.side,
            orders.quantity,
            orders.kind,
            orders.limit_price,
            orders.time_in_force,
            orders.ts_ns,
            self._latency_ns,
            self._n_symbols,
            int(self._counts[LAST_ID]),
            codes,
        )
        if not n_rejected:
            return ()
        return tuple(
            Withdrawal(
                int(orders.order_id[row]),
                int(orders.symbol_id[row]),
                float(orders.quantity[row]),
                REJECTIONS[codes[row]],
                rejected=True,
            )
            for row in np.flatnonzero(codes > KNOWN).tolist()
        )

    def cancel_all(self, reason: str) -> tuple[Withdrawal, ...]:
        """Withdraw every open order."""
        if not self.n_open:
            return ()
        withdrawn = tuple(_withdrawal(order, reason) for order in self._book[: self.n_open])
        self._counts[N_OPEN] = 0
        return withdrawn

    def on_slice(self, market: MarketSlice) -> BrokerUpdate:
        """Let open orders meet the market; return fills in order of order id."""
        self._liquidity.begin(market.ts_ns)
        update = self._match(market) if self.n_open else _NOTHING
        self._liquidity.add(market.close, market.volume)
        return update

    def open_quantity(self) -> FloatArray:
        """Return the signed quantity still working per symbol, shape (n_symbols,)."""
        quantity = np.zeros(self._n_symbols)
        if self.n_open:
            working = self._book[: self.n_open]
            np.add.at(quantity, working["symbol_id"], working["side"] * working["remaining"])
        return quantity

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, as JSON-ready values."""
        return {
            "book": pack(self._book[: self.n_open]),
            "last_id": int(self._counts[LAST_ID]),
            "liquidity": self._liquidity.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._liquidity.restore(state["liquidity"])
        working = unpack(state["book"], OPEN_ORDER)
        self._counts[N_OPEN] = 0
        self._make_room(working.size)
        self._book[: working.size] = working
        self._counts[:] = working.size, state["last_id"]

    def _match(self, market: MarketSlice) -> BrokerUpdate:
        # Copies have one memory layout whatever the source: the kernel is compiled once.
        for row, name in enumerate(_BAR_ROWS):
            self._bars[row] = getattr(market, name)
        self._ts_open_ns[:] = market.ts_open_ns
        fills = np.empty(self.n_open, _FILL)
        self._counts[N_OPEN], n_fills, n_unfilled = match_orders(
            self._book,
            self.n_open,
            market.ts_ns,
            self._ts_open_ns,
            self._bars,
            self._liquidity.volatility,
            self._liquidity.volume,
            self._terms,
            fills,
            self._unfilled,
        )
        withdrawn = withdrawals_of(self._unfilled[:n_unfilled]) if n_unfilled else ()
        return BrokerUpdate(FillBatch.from_records(fills[:n_fills]) if n_fills else _NOTHING.fills, withdrawn)

    def _make_room(self, count: int) -> None:
        if self.n_open + count > self._book.size:
            book = np.zeros(2 * (self.n_open + count), OPEN_ORDER)
            book[: self.n_open] = self._book[: self.n_open]
            self._book, self._unfilled = book, np.empty_like(book)


def withdrawals_of(orders: NDArray[np.void]) -> tuple[Withdrawal, ...]:
    """Return what is told of orders that ended unfilled, records of `OPEN_ORDER` whose status says why."""
    return tuple(_withdrawal(order, _ENDINGS[int(order["status"])]) for order in orders)


def _withdrawal(order: np.void, reason: str) -> Withdrawal:
    return Withdrawal(
        int(order["order_id"]), int(order["symbol_id"]), float(order["remaining"]), reason, rejected=False
    )
