"""From target weights to the orders that reach them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.orders import ORDERS_PER_DECISION, OrderBatch, OrderKind, first_order_id
from trader.execution.kernels import PlanTerms, fill_order_records
from trader.settings.sections import ExecutionSettings

__all__ = ["OrderPlanner"]

FloatArray = NDArray[np.float64]

_RECORD = OrderBatch.record_dtype()
_NO_ORDERS = OrderBatch.empty()


class OrderPlanner:
    """Plans one order a name, as if no other order were open: the caller cancels those first.

    The quantity is the difference of weights times equity over price, rounded down to whole lots; one worth
    less than `min_order_value` is left out. A target of zero closes the position exactly, whatever the lot and
    the value. Sells come before buys, each by symbol; ids follow from the decision's number.

    A limit order is priced `limit_offset_bps` beyond the last price, towards the other side if positive.
    All orders work until filled or replaced (GTC).

    Parameters
    ----------
    settings : ExecutionSettings
    """

    def __init__(self, settings: ExecutionSettings) -> None:
        self.terms = PlanTerms(
            lot=settings.lot_size,
            min_value=settings.min_order_value,
            kind=int(OrderKind.LIMIT if settings.order_kind == "limit" else OrderKind.MARKET),
            offset=settings.limit_offset_bps * 1e-4,
        )
        """For compiled loops."""

    def plan(
        self,
        seq: int,
        ts_ns: int,
        *,
        target: FloatArray,
        current: FloatArray,
        positions: FloatArray,
        prices: FloatArray,
        equity: float,
    ) -> OrderBatch:
        """Return the orders of decision `seq`.

        Parameters
        ----------
        seq, ts_ns : int
            Number and time of the decision.
        target, current : ndarray of shape (n_symbols,)
            Weights wanted and held; equal weights make no order.
        positions : ndarray of shape (n_symbols,)
            Units held.
        prices : ndarray of shape (n_symbols,)
            Last prices; a symbol with NaN is not traded.
        equity : float
            In currency.
        """
        if target.size > ORDERS_PER_DECISION:
            raise DataError(f"{target.size} symbols; a decision has ids for {ORDERS_PER_DECISION} orders")
        records = np.empty(target.size, _RECORD)
        count = fill_order_records(
            records,
            target,
            current,
            positions,
            prices,
            equity,
            self.terms,
            first_order_id(seq),
            ts_ns,
        )
        return OrderBatch.from_records(records[:count]) if count else _NO_ORDERS
