"""The record of one decision: everything the loop saw, wanted, was refused and got at one instant."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trader.core.orders import Denial, FillBatch, OrderBatch, TradingState
from trader.core.protocols import Withdrawal

__all__ = ["Decision", "StateChange"]

FloatArray = NDArray[np.float64]


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
