"""The record of decisions: everything the loop saw, wanted, was refused and got, one by one or as columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from trader.core.orders import Denial, FillBatch, OrderBatch, TradingState
from trader.core.protocols import Withdrawal

__all__ = ["Decision", "DecisionBlock", "Incidents", "StateChange"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class StateChange:
    """The trading state went from `previous` to `current` because of `who` (a rule or a person)."""

    previous: TradingState
    current: TradingState
    who: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """One step of the decision loop.

    Parameters
    ----------
    seq : int
        Counts the traded instants of a run from 0.
    ts_ns : int
        Close stamp of the slice that was decided on.
    equity, cash : float
        After the fills of this slice, marked at its closes, in currency.
    positions : ndarray of shape (n_symbols,)
        Units held after the fills of this slice.
    prices : ndarray of shape (n_symbols,)
        Last known price of every symbol; NaN before its first.
    score : ndarray of shape (n_symbols,)
        The ensemble's score; NaN abstains.
    members : mapping of str to ndarray of shape (n_symbols,)
        Scores of the members, by `name@version`.
    target : ndarray of shape (n_symbols,)
        Target weights, fractions of equity.
    orders : OrderBatch
        Those the gate let through, in order of id.
    denials : tuple of Denial
        Those it refused.
    fills : FillBatch
        Executions of earlier orders against this slice.
    withdrawals : tuple of Withdrawal
        Orders that were cancelled or rejected.
    state_changes : tuple of StateChange
        Changes of the trading state made in this step.
    """

    seq: int
    ts_ns: int
    equity: float
    cash: float
    positions: FloatArray
    prices: FloatArray
    score: FloatArray
    members: Mapping[str, FloatArray]
    target: FloatArray
    orders: OrderBatch
    denials: tuple[Denial, ...]
    fills: FillBatch
    withdrawals: tuple[Withdrawal, ...]
    state_changes: tuple[StateChange, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Incidents:
    """What is out of the ordinary in one decision; the fields are those of `Decision`."""

    denials: tuple[Denial, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    state_changes: tuple[StateChange, ...] = ()


_NO_INCIDENTS = Incidents()


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class DecisionBlock:
    """Decisions as columns, in order: a row each. Iterating makes a `Decision` of every row.

    Parameters
    ----------
    seq, ts_ns : ndarray of shape (n_decisions,), int64
    equity, cash : ndarray of shape (n_decisions,)
    positions, prices, score, target : ndarray of shape (n_decisions, n_symbols)
    members : mapping of str to ndarray of shape (n_decisions, n_symbols)
        The ensemble does not change within a block.
    orders : OrderBatch
        Of all decisions, in order of id.
    n_orders : ndarray of shape (n_decisions,), int64
        How many of them each decision made.
    fills : FillBatch
        Of all decisions, in their order.
    n_fills : ndarray of shape (n_decisions,), int64
    incidents : mapping of int to Incidents
        By row; most rows have none.
    """

    seq: IntArray
    ts_ns: IntArray
    equity: FloatArray
    cash: FloatArray
    positions: FloatArray
    prices: FloatArray
    score: FloatArray
    target: FloatArray
    members: Mapping[str, FloatArray]
    orders: OrderBatch
    n_orders: IntArray
    fills: FillBatch
    n_fills: IntArray
    incidents: Mapping[int, Incidents]

    @classmethod
    def of(cls, decision: Decision) -> DecisionBlock:
        """Return one decision as a block."""
        incidents = Incidents(decision.denials, decision.withdrawals, decision.state_changes)
        return cls(
            seq=np.array([decision.seq]),
            ts_ns=np.array([decision.ts_ns]),
            equity=np.array([decision.equity], np.float64),
            cash=np.array([decision.cash], np.float64),
            positions=decision.positions[None],
            prices=decision.prices[None],
            score=decision.score[None],
            target=decision.target[None],
            members={name: score[None] for name, score in decision.members.items()},
            orders=decision.orders,
            n_orders=np.array([len(decision.orders)]),
            fills=decision.fills,
            n_fills=np.array([len(decision.fills)]),
            incidents={} if incidents == _NO_INCIDENTS else {0: incidents},
        )

    def __len__(self) -> int:
        return int(self.seq.size)

    def __iter__(self) -> Iterator[Decision]:
        first_order = first_fill = 0
        for row, (n_orders, n_fills) in enumerate(zip(self.n_orders.tolist(), self.n_fills.tolist(), strict=True)):
            incidents = self.incidents.get(row, _NO_INCIDENTS)
            yield Decision(
                seq=int(self.seq[row]),
                ts_ns=int(self.ts_ns[row]),
                equity=float(self.equity[row]),
                cash=float(self.cash[row]),
                positions=self.positions[row],
                prices=self.prices[row],
                score=self.score[row],
                members={name: score[row] for name, score in self.members.items()},
                target=self.target[row],
                orders=self.orders.take(slice(first_order, first_order + n_orders)),
                denials=incidents.denials,
                fills=self.fills.take(slice(first_fill, first_fill + n_fills)),
                withdrawals=incidents.withdrawals,
                state_changes=incidents.state_changes,
            )
            first_order += n_orders
            first_fill += n_fills

    def wanted_orders(self) -> NDArray[np.bool_]:
        """Return which decisions wanted an order, allowed or refused; shape (n_decisions,)."""
        wanted = self.n_orders > 0
        for row, incidents in self.incidents.items():
            wanted[row] |= bool(incidents.denials)
        return wanted
