"""The interfaces between the parts. One conformance suite under `tests/conformance` holds each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarBatch, MarketSlice, QuoteBatch, TradeBatch, Universe
from trader.core.orders import FillBatch, OrderBatch

__all__ = [
    "Broker",
    "BrokerUpdate",
    "Detector",
    "Feed",
    "FeedBatch",
    "FeedInfo",
    "FitMonitor",
    "Forecast",
    "LeftOut",
    "MarketBatch",
    "Model",
    "Prediction",
    "Predictor",
    "Verdict",
    "Withdrawal",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FitMonitor = Callable[[int, int, Mapping[str, float]], bool]
"""Told of each step of a fit (an epoch, a block of trees): its number from 1, how many there are, and its metrics
(`train_loss`, `validation_loss`, …); returns False to end the fit with what was learnt so far."""
MarketBatch = TradeBatch | QuoteBatch | BarBatch
BatchKind = Literal["trades", "quotes", "bars"]
LeftOut = Literal["failed", "late", "skipped"]
"""Why a member of an ensemble has no part in an answer: it raised, took too long, or was left alone because it did."""


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
    close) before or at that time, but for late ones, which are counted. `ahead_ns` is how far event times were moved
    back because the source's clock runs ahead of ours: its own stamps are that much later.
    """

    seq: int
    watermark_ns: int
    data: MarketBatch
    ahead_ns: int = 0


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
    left_out : mapping of str to {"failed", "late", "skipped"}
        Members that did not answer, and why; their scores are NaN. One that abstained is not among them.
    """

    score: FloatArray
    members: Mapping[str, FloatArray]
    left_out: Mapping[str, LeftOut] = dataclasses.field(default_factory=dict)


class Predictor(Protocol):
    """Turns features into scores: in process, or by a handle of Ray Serve."""

    @property
    def context(self) -> int:
        """Instants that a score looks at, its own included; 1 where rows are all that matters."""
        ...

    def __call__(self, features: FloatArray, n_context: int = 0) -> Prediction:
        """Score all but the first `n_context` instants of features (n_context + n_slices, n_symbols, n_features).

        The first `n_context` instants are the past that a sequence model reads; more than `context` - 1 of them
        change nothing, fewer count as unknown.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """What one model says of many instants, in units of the target it was fitted on.

    Parameters
    ----------
    score : ndarray of shape (n_slices, n_symbols)
        Expected target; NaN abstains, and then the other fields are NaN in that cell too.
    probability_up : ndarray of shape (n_slices, n_symbols)
        Chance that the target is positive.
    quantiles : ndarray of shape (n_slices, n_symbols, n_levels)
        Of the target, not falling along the last axis.
    levels : tuple of float
        The levels of `quantiles`, rising, inside (0, 1).
    volatility : ndarray of shape (n_slices, n_symbols)
        Standard deviation of the target.
    """

    score: FloatArray
    probability_up: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...]
    volatility: FloatArray


@runtime_checkable
class Model(Protocol):
    """From a panel of features to scores.

    What a model says of an instant depends on that instant and the `context` - 1 before it, never on what comes
    after or on how many instants are asked for at once. Equal seed and data give equal models.
    """

    name: str
    """Registered kind, as in `trader.models.base.create(name)`."""

    feature_names: tuple[str, ...]
    """The schema it was fitted on; empty before `fit_panel`."""

    @property
    def context(self) -> int:
        """Instants that a score looks at, its own included; 1 for a model of single rows."""
        ...

    def fit_panel(
        self,
        features: FloatArray,
        target: FloatArray,
        *,
        feature_names: tuple[str, ...],
        seed: int = 0,
        instants: IntArray | None = None,
        weight: FloatArray | None = None,
        monitor: FitMonitor | None = None,
    ) -> Self:
        """Learn from features (n_slices, n_symbols, n_features) and target (n_slices, n_symbols); return itself.

        NaN is missing in both. Only labels at `instants` (rising positions; None is all) are read; a sequence
        model also reads the features of the instants before each. `weight` (n_slices, n_symbols), not negative,
        says how much a label counts.
        """
        ...

    def predict_panel(self, features: FloatArray, n_context: int = 0) -> FloatArray:
        """Return the scores (n_slices, n_symbols) of all but the first `n_context` instants of the features."""
        ...

    def forecast(self, features: FloatArray, n_context: int = 0) -> Forecast:
        """Return scores, chances, quantiles and volatility of all but the first `n_context` instants."""
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


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector says of one row.

    `score` is in units of its alarm limit: above 1 is an alarm, and `reason` says what was seen; empty without one.
    """

    score: float
    alarm: bool
    reason: str


@runtime_checkable
class Detector(Protocol):
    """Tells rows of features that do not belong from those that do; learns from rows that are mostly in order.

    Equal seeds and rows give equal scores. What was seen before counts: a fit leaves it where its last row ended.
    """

    @property
    def name(self) -> str:
        """Which kind it is."""
        ...

    def fit(self, values: FloatArray) -> None:
        """Learn from rows (n_rows, n_features), finite and in order of time, and forget everything else."""
        ...

    def score(self, values: FloatArray) -> FloatArray:
        """Return scores (n_rows,) of rows as if they came next; takes nothing in."""
        ...

    def update(self, row: FloatArray) -> Verdict:
        """Judge the next row (n_features,) and take it in; the score is that which `score` gives."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return everything needed to go on, as JSON-ready values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned, without a fit."""
        ...
