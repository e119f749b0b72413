"""The interfaces between the parts. One conformance suite under `tests/conformance` holds each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarBatch, MarketSlice, QuoteBatch, TradeBatch, Universe
from trader.core.orders import FillBatch, OrderBatch

__all__ = [
    "Broker",
    "BrokerUpdate",
    "Feed",
    "FeedBatch",
    "FeedInfo",
    "MarketBatch",
    "Model",
    "Prediction",
    "Predictor",
    "Withdrawal",
]

FloatArray = NDArray[np.float64]
MarketBatch = TradeBatch | QuoteBatch | BarBatch
BatchKind = Literal["trades", "quotes", "bars"]


@dataclasses.dataclass(frozen=True, slots=True)
class FeedInfo:
    """What a feed delivers.

    Parameters
    ----------
    name : str
        For people and logs.
    universe : Universe
        Its symbols; `symbol_id` in every batch refers to it.
    kind : {"trades", "quotes", "bars"}
        The one type of its batches.
    fields : frozenset of str
        The `BAR_FIELDS` that its bars carry, or that can be built from its ticks.
    fingerprint : str
        SHA-256 of the content (a file, a seed and its parameters); equal data have equal fingerprints.
    span_ns : tuple of int, optional
        First and last time stamp of a replayable feed; None for a live one.
    """

    name: str
    universe: Universe
    kind: BatchKind
    fields: frozenset[str]
    fingerprint: str
    span_ns: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class FeedBatch:
    """One message of a feed.

    `seq` counts from 0 without holes. `watermark_ns` promises that no later batch holds an event (for bars: a
    close) before or at that time, but for late ones, which are counted.
    """

    seq: int
    watermark_ns: int
    data: MarketBatch


@runtime_checkable
class Feed(Protocol):
    """A source of market data; rows are validated before they leave it.

    A replayable feed gives the same batches with the same numbers every time it is asked.
    """

    @property
    def info(self) -> FeedInfo:
        """What it delivers."""
        ...

    def batches(self, from_seq: int = 0) -> Iterator[FeedBatch]:
        """Yield the batches from number `from_seq` on."""
        ...

    def rejected(self) -> Mapping[str, int]:
        """Return how many rows were refused so far, by reason."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """What an ensemble says of one or many instants.

    Parameters
    ----------
    score : ndarray of shape (n_slices, n_symbols)
        Expected return over the horizon, in units of the symbol's own volatility; NaN abstains.
    members : mapping of str to ndarray of shape (n_slices, n_symbols)
        The score of each member, by `name@version`.
    """

    score: FloatArray
    members: Mapping[str, FloatArray]


class Predictor(Protocol):
    """Turns features into scores: in process, or by a handle of Ray Serve."""

    def __call__(self, features: FloatArray) -> Prediction:
        """Score features of shape (n_slices, n_symbols, n_features)."""
        ...


@runtime_checkable
class Model(Protocol):
    """A regression from one row of features to one score.

    Rows are independent: predicting a batch equals predicting each row. Equal seed and data give equal scores.
    """

    name: str
    """Registered kind, as in `trader.models.base.create(name)`."""

    feature_names: tuple[str, ...]
    """The schema it was fitted on; empty before `fit`."""

    def fit(self, features: FloatArray, target: FloatArray, *, feature_names: tuple[str, ...], seed: int = 0) -> Self:
        """Learn from features (n_rows, n_features, NaN allowed) and target (n_rows,); return itself."""
        ...

    def predict(self, features: FloatArray) -> FloatArray:
        """Return scores of shape (n_rows,)."""
        ...

    def save(self, folder: Path) -> None:
        """Write itself to files without pickle."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Withdrawal:
    """An order that ended unfilled: cancelled (by whom it says) or rejected by the broker."""

    order_id: int
    symbol_id: int
    remaining: float
    reason: str
    rejected: bool


@dataclasses.dataclass(frozen=True, slots=True)
class BrokerUpdate:
    """What a broker reports after it has seen a slice, or been given a command."""

    fills: FillBatch
    withdrawals: tuple[Withdrawal, ...] = ()


@runtime_checkable
class Broker(Protocol):
    """Executes orders. All ids are given from outside, so a repeated call is recognised."""

    def submit(self, orders: OrderBatch) -> tuple[Withdrawal, ...]:
        """Accept orders; return those it rejects. An id it already knows is ignored."""
        ...

    def cancel_all(self, reason: str) -> tuple[Withdrawal, ...]:
        """Withdraw every open order."""
        ...

    def on_slice(self, market: MarketSlice) -> BrokerUpdate:
        """Let open orders meet the market; return fills in order of order id."""
        ...

    def open_quantity(self) -> FloatArray:
        """Return the signed quantity still working per symbol, shape (n_symbols,)."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return everything needed to go on, as JSON-ready values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        ...
