"""Between arrays that compiled code reads and writes, and blocks of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from trader.core.decision import DecisionBlock, Incidents
from trader.core.market import BarPanel
from trader.core.orders import FillBatch, OrderBatch
from trader.core.protocols import BrokerUpdate
from trader.execution.broker import withdrawals_of
from trader.execution.matching import OPEN_ORDER
from trader.pipeline.kernels import Decided, Instants

__all__ = ["DecisionBuffer"]

FloatArray = NDArray[np.float64]

_ORDER, _FILL = OrderBatch.record_dtype(), FillBatch.record_dtype()
_NO_ORDERS, _NO_FILLS = OrderBatch.empty(), FillBatch.empty()


class DecisionBuffer:
    """Holds what `forward` is given for a panel, and the decisions it writes, which are taken out in order.

    Parameters
    ----------
    first_seq : int
        Number of the decision on the panel's first slice.
    panel : BarPanel
    score : ndarray of shape (n_slices, n_symbols)
    members : mapping of str to ndarray of shape (n_slices, n_symbols)
    n_open : int
        Orders that are open; later there are never more than these or one a symbol.
    """

    def __init__(
        self, first_seq: int, panel: BarPanel, score: FloatArray, members: Mapping[str, FloatArray], n_open: int
    ) -> None:
        shape = panel.close.shape
        n_slices, n_symbols = shape
        room = n_slices * max(n_symbols, n_open)
        self.first_seq = first_seq
        self.panel = panel
        self.row = 0
        """The first slice whose decision has not been taken out."""
        self._score, self._members = score, members
        self.instants = Instants(
            ts_ns=_plain(panel.ts_ns, np.int64),
            ts_open_ns=_plain(panel.ts_open_ns, np.int64),
            open=_plain(panel.open),
            high=_plain(panel.high),
            low=_plain(panel.low),
            close=_plain(panel.close),
            volume=_plain(panel.volume),
            spread=_plain(panel.spread),
            score=_plain(score),
        )
        self.decided = Decided(
            equity=np.empty(n_slices),
            cash=np.empty(n_slices),
            positions=np.empty(shape),
            prices=np.empty(shape),
            target=np.empty(shape),
            orders=np.empty(n_slices * n_symbols, _ORDER),
            n_orders=np.zeros(n_slices, np.int64),
            fills=np.empty(room, _FILL),
            n_fills=np.zeros(n_slices, np.int64),
            withdrawn=np.empty(room, OPEN_ORDER),
            n_withdrawn=np.zeros(n_slices, np.int64),
        )
        self.n_orders = 0
        """Orders of decisions that were taken out."""
        self.n_fills = 0
        """Fills of decisions that were taken out."""
        self.n_withdrawn = 0
        """Orders that were withdrawn up to then."""

    def __len__(self) -> int:
        return len(self.panel)

    @property
    def seq(self) -> int:
        """Number of the decision on slice `row`."""
        return self.first_seq + self.row

    def scores(self) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return the scores of slice `row`, and those of the members."""
        return self._score[self.row], {name: score[self.row] for name, score in self._members.items()}

    def update(self) -> BrokerUpdate:
        """Return what the market did to orders at slice `row`, which was taken in but not decided on."""
        fills = self.decided.fills[self.n_fills : self.n_fills + int(self.decided.n_fills[self.row])]
        ended = self.decided.withdrawn[self.n_withdrawn : self.n_withdrawn + int(self.decided.n_withdrawn[self.row])]
        return BrokerUpdate(FillBatch.from_records(fills) if fills.size else _NO_FILLS, withdrawals_of(ended))

    def skip(self) -> None:
        """Leave slice `row` out: its decision was not made here."""
        self.n_fills += int(self.decided.n_fills[self.row])
        self.n_withdrawn += int(self.decided.n_withdrawn[self.row])
        self.row += 1

    def take(self, stop: int) -> DecisionBlock:
        """Take out the decisions on the slices before `stop`."""
        rows, decided = slice(self.row, stop), self.decided
        n_orders, n_fills = decided.n_orders[rows], decided.n_fills[rows]
        orders = decided.orders[self.n_orders : self.n_orders + int(n_orders.sum())]
        fills = decided.fills[self.n_fills : self.n_fills + int(n_fills.sum())]
        block = DecisionBlock(
            seq=np.arange(self.first_seq + self.row, self.first_seq + stop),
            ts_ns=self.instants.ts_ns[rows],
            equity=decided.equity[rows],
            cash=decided.cash[rows],
            positions=decided.positions[rows],
            prices=decided.prices[rows],
            score=self._score[rows],
            target=decided.target[rows],
            members={name: score[rows] for name, score in self._members.items()},
            orders=OrderBatch.from_records(orders) if orders.size else _NO_ORDERS,
            n_orders=n_orders,
            fills=FillBatch.from_records(fills) if fills.size else _NO_FILLS,
            n_fills=n_fills,
            incidents=self._withdrawals(stop),
        )
        self.n_orders += orders.size
        self.n_fills += fills.size
        self.row = stop
        return block

    def _withdrawals(self, stop: int) -> dict[int, Incidents]:
        """Return the withdrawals of the slices before `stop`, by row from `row` on, and count them as taken out."""
        counts = self.decided.n_withdrawn[self.row : stop]
        incidents = {}
        for row in np.flatnonzero(counts).tolist():
            end = self.n_withdrawn + int(counts[row])
            incidents[row] = Incidents(withdrawals=withdrawals_of(self.decided.withdrawn[self.n_withdrawn : end]))
            self.n_withdrawn = end
        return incidents


def _plain(array: NDArray[Any], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Return an array in the one dtype and memory layout that `forward` is compiled for, copied only if need be."""
    return array if array.flags.carray and array.dtype == dtype else np.array(array, dtype, order="C")
