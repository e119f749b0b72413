"""What happens in a run, as immutable events: stored, shown and alerted on.

Every event names its run, the trace of the decision it belongs to, and its time in UTC nanoseconds.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, ClassVar

from trader.core.orders import DenialReason, TradingState

__all__ = [
    "BufferOverflowed",
    "DataRejected",
    "Event",
    "FeedTrouble",
    "OrderCancelled",
    "OrderDenied",
    "OrderRejected",
    "PartRestarted",
    "PredictionsBack",
    "PredictionsMissing",
    "SinkTrouble",
    "StoreBack",
    "StoreGone",
    "TradingStateChanged",
    "trace_id_of",
]


def trace_id_of(run_id: str, seq: int) -> str:
    """Return the trace id of decision `seq`: 16 bytes in hex, as W3C Trace Context has it.

    >>> trace_id_of("demo", 7) == trace_id_of("demo", 7)
    True
    """
    return hashlib.blake2b(f"{run_id}:{seq}".encode(), digest_size=16).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    run_id: str
    trace_id: str
    ts_ns: int

    kind: ClassVar[str] = "event"

    def payload(self) -> dict[str, Any]:
        """Return the fields that are this kind's own, ready for JSON."""
        common = {f.name for f in dataclasses.fields(Event)}
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in common}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OrderDenied(Event):
    """The risk gate refused an order."""

    order_id: str
    symbol: str
    reason: DenialReason
    value: float
    limit: float

    kind: ClassVar[str] = "order_denied"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(Event):
    """The broker refused an order."""

    order_id: str
    symbol: str
    reason: str

    kind: ClassVar[str] = "order_rejected"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(Event):
    """An order, or what was left of it, was withdrawn."""

    order_id: str
    symbol: str
    remaining: float
    reason: str

    kind: ClassVar[str] = "order_cancelled"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateChanged(Event):
    """The gate became stricter or looser; `who` is a rule's name or a person's."""

    previous: TradingState
    current: TradingState
    who: str
    why: str

    kind: ClassVar[str] = "trading_state_changed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DataRejected(Event):
    """Rows were refused at the boundary."""

    source: str
    reason: str
    count: int

    kind: ClassVar[str] = "data_rejected"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BufferOverflowed(Event):
    """A bounded buffer dropped rows because its consumer was too slow."""

    buffer: str
    dropped: int

    kind: ClassVar[str] = "buffer_overflowed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FeedTrouble(Event):
    """A live feed was away, or brought less than there was; `count` is how many rows were lost, 0 where unknown."""

    source: str
    trouble: str
    detail: str
    symbol: str
    count: int

    kind: ClassVar[str] = "feed_trouble"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SinkTrouble(Event):
    """A sink is away, with the reason, or is back, without; `dropped` rows were let go of since it was last told."""

    sink: str
    trouble: str
    dropped: int

    kind: ClassVar[str] = "sink_trouble"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PartRestarted(Event):
    """An actor died and the run went on from its last durable decision."""

    part: str
    reason: str
    from_seq: int

    kind: ClassVar[str] = "part_restarted"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PredictionsMissing(Event):
    """No model answered at decision `seq`; positions are held until one does."""

    seq: int
    reason: str

    kind: ClassVar[str] = "predictions_missing"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PredictionsBack(Event):
    """A model answers again from decision `seq` on, after `missed` decisions without."""

    seq: int
    missed: int

    kind: ClassVar[str] = "predictions_back"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreGone(Event):
    """The store did not take decisions; they wait in memory. Stored when it is back."""

    reason: str

    kind: ClassVar[str] = "store_gone"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreBack(Event):
    """The store has taken all that waited: `decisions`, the oldest of them for `seconds`."""

    seconds: float
    decisions: int

    kind: ClassVar[str] = "store_back"
