"""What the store gives and takes, beside the messages of `trader.core`: frozen records."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trader.core.orders import FillBatch, format_fill_id

__all__ = [
    "Appended",
    "DecisionTable",
    "EventRecord",
    "FinalStatus",
    "OrderTrace",
    "RunMode",
    "RunRecord",
    "RunStatus",
    "ShareChange",
    "VariantMark",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RunMode = Literal["run", "backtest"]
RunStatus = Literal["running", "complete", "incomplete", "failed"]
FinalStatus = Literal["complete", "incomplete", "failed"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run: what went in, and how it ended.

    Parameters
    ----------
    run_id : str
        Unique in the store.
    mode : {"run", "backtest"}
        On Ray, or in one process.
    status : {"running", "complete", "incomplete", "failed"}
        "running" until `Store.finish_run`; a killed process leaves it so.
    created_ns, ended_ns : int
        UTC nanoseconds of the wall clock; `ended_ns` is None while it runs.
    seed : int
        Of every random choice.
    symbols : tuple of str
        The position of a symbol is its `symbol_id` in orders, fills and arrays.
    settings : mapping
        The settings as JSON-ready values.
    data_fingerprint : str
        SHA-256 of the data, from the feed.
    code_version : str
        Version or commit of the code.
    feature_names : tuple of str
        Columns of the stored features.
    member_names : tuple of str
        Members of the ensemble at the start, by `name@version`.
    extra : mapping
        Anything else worth keeping, JSON-ready.
    summary : mapping
        What `finish_run` was given.
    """

    run_id: str
    mode: RunMode
    status: RunStatus = "running"
    created_ns: int
    ended_ns: int | None = None
    seed: int
    symbols: tuple[str, ...]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data_fingerprint: str = ""
    code_version: str = ""
    feature_names: tuple[str, ...] = ()
    member_names: tuple[str, ...] = ()
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    summary: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Appended:
    """Rows that one `Store.append` added, by table, and those it recognised as repeats."""

    decisions: int
    orders: int
    fills: int
    events: int
    repeated: int


class VariantMark(NamedTuple):
    """The variants of an experiment after decision `seq`.

    Parameters
    ----------
    seq : int
    champion, challenger : float
        Equity of their virtual portfolios, in currency.
    sign_agreement : float or None
        Share of the symbols, among those that both scored, whose scores have the same sign; None if there are none.
    rank_correlation : float or None
        Spearman's, of the scores across symbols; None where it is undefined.
    share : float or None
        The challenger's share of the symbols at this decision; None where it was not recorded.
    units : int or None
        Symbols whose scores were traded as the challenger gave them; None where it was not recorded.
    answered : bool or None
        Whether the challenger answered; None where it was not recorded.
    own_score : bytes or None
        What a shadow's challenger said of each symbol, by `trader.storage.codec.pack`; None where it did not answer,
        and where it is traded: then the decision has it among its members.
    """

    seq: int
    champion: float
    challenger: float
    sign_agreement: float | None = None
    rank_correlation: float | None = None
    share: float | None = None
    units: int | None = None
    answered: bool | None = None
    own_score: bytes | None = None


class ShareChange(NamedTuple):
    """A share of the symbols that a run gave to the challenger of its experiment, or took from it.

    Parameters
    ----------
    experiment : str
        Its name.
    seq : int
        The first decision with the new share.
    share : float
    reason : str
    evidence : mapping
        JSON-ready (NaN allowed).
    """

    experiment: str
    seq: int
    share: float
    reason: str
    evidence: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class DecisionTable:
    """The decisions of a run in order; row `i` is decision `seq[i]`.

    Parameters
    ----------
    seq, ts_ns : ndarray of shape (n_decisions,), int64
        Number and close stamp.
    trace_id : tuple of str, of length n_decisions
        W3C trace ids.
    equity, cash : ndarray of shape (n_decisions,)
        In currency.
    latency_ns : ndarray of shape (n_decisions,), float64
        From data to decision, nanoseconds; NaN where it was not measured.
    positions, prices, score, target : ndarray of shape (n_decisions, n_symbols)
        As in `trader.core.decision.Decision`.
    members : mapping of str to ndarray of shape (n_decisions, n_symbols)
        Scores by `name@version`, in order of first appearance; NaN where a member was not part of the ensemble.
    """

    seq: IntArray
    ts_ns: IntArray
    trace_id: tuple[str, ...]
    equity: FloatArray
    cash: FloatArray
    latency_ns: FloatArray
    positions: FloatArray
    prices: FloatArray
    score: FloatArray
    target: FloatArray
    members: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return int(self.seq.size)


@dataclasses.dataclass(frozen=True, slots=True)
class EventRecord:
    """A stored event; `payload` holds the fields that are its kind's own."""

    run_id: str
    trace_id: str
    ts_ns: int
    kind: str
    payload: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class OrderTrace:
    """Where an order came from and what became of it.

    Parameters
    ----------
    order_id, trace_id : str
        As people and files see them.
    seq, ts_ns : int
        The decision that wanted it, and its close stamp.
    feed_seq : int or None
        The batch of the feed that the decision was made on.
    symbol : str
        What is traded.
    verdict : {"accepted", "denied"}
        Of the risk gate.
    reason : str
        Why it was denied; empty if it was not.
    rule_value, rule_limit : float
        What the refusing rule saw and what it allows; NaN if it was accepted.
    side : int
        +1 or -1; 0 where a denial did not say.
    quantity : float
        Units; NaN where a denial did not say.
    price, position, score, target : float
        Of this symbol at the decision.
    members : mapping of str to float
        Score of each member, by `name@version`.
    model_versions : mapping of str to str
        Version of each member, by name.
    features : mapping of str to float
        What the models saw of this symbol; empty if features were not stored.
    fills : FillBatch
        Its executions.
    outcomes : tuple of EventRecord
        Its denial, rejection or cancellation.
    """

    order_id: str
    trace_id: str
    seq: int
    ts_ns: int
    feed_seq: int | None
    symbol: str
    verdict: Literal["accepted", "denied"]
    reason: str
    rule_value: float
    rule_limit: float
    side: int
    quantity: float
    price: float
    position: float
    score: float
    target: float
    members: Mapping[str, float]
    model_versions: Mapping[str, str]
    features: Mapping[str, float]
    fills: FillBatch
    outcomes: tuple[EventRecord, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values; fills and outcomes become lists of mappings, NaN becomes None."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        columns = {name: column.tolist() for name, column in self.fills.columns().items()}
        columns["fill_id"] = [format_fill_id(i) for i in columns["fill_id"]]
        del columns["order_id"], columns["symbol_id"]
        fields["fills"] = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        fields["outcomes"] = [{"kind": e.kind, "ts_ns": e.ts_ns, **e.payload} for e in self.outcomes]
        return {name: _without_nan(value) for name, value in fields.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
