"""From decisions and events to rows: tuples in the column order of `trader.storage.schema`."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.decision import Decision
from trader.core.errors import DataError
from trader.core.events import Event, OrderCancelled, OrderDenied, OrderRejected, TradingStateChanged
from trader.core.orders import FillBatch, OrderBatch, format_order_id
from trader.storage.codec import names_json, null_nan, pack, to_json
from trader.storage.records import RunRecord
from trader.storage.schema import runs

__all__ = ["Extras", "decision_events", "decision_rows", "event_row", "fill_rows", "order_rows", "run_row"]

Row = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Extras:
    """What the caller knows of decisions beside their content: one item a decision, or None for all."""

    traces: Sequence[str]
    latency_ns: Sequence[int | None] | None = None
    features: Sequence[NDArray[np.float64] | None] | None = None
    feed_seq: Sequence[int | None] | None = None

    def check(self, n_decisions: int) -> None:
        """Refuse lists of another length with DataError."""
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            if values is not None and len(values) != n_decisions:
                raise DataError(f"{field.name} has {len(values)} items; {n_decisions} are needed, one a decision")


def run_row(run: RunRecord) -> Row:
    """Return the row of a run."""
    values = [getattr(run, column.name) for column in runs.columns]
    return tuple(to_json(value) if isinstance(value, Mapping | tuple) else value for value in values)


def decision_rows(run: RunRecord, decisions: Sequence[Decision], extras: Extras) -> list[Row]:
    """Return one row a decision; features are kept where they are given."""
    n_symbols, n_features = len(run.symbols), len(run.feature_names)
    rows: list[Row] = []
    for i, d in enumerate(decisions):
        features: bytes | None = None
        if extras.features is not None:
            wanted = extras.features[i]
            if wanted is not None:
                features = _packed("features", wanted, n_symbols * n_features)
        latency = extras.latency_ns[i] if extras.latency_ns is not None else None
        feed_seq = extras.feed_seq[i] if extras.feed_seq is not None else None
        rows.append(
            (
                run.run_id,
                int(d.seq),
                int(d.ts_ns),
                extras.traces[i],
                _finite("equity", d.equity),
                _finite("cash", d.cash),
                None if latency is None else int(latency),
                None if feed_seq is None else int(feed_seq),
                _packed("positions", d.positions, n_symbols),
                _packed("prices", d.prices, n_symbols),
                _packed("score", d.score, n_symbols),
                _packed("target", d.target, n_symbols),
                names_json(tuple(d.members)),
                b"".join([_packed(name, values, n_symbols) for name, values in d.members.items()]),
                features,
            )
        )
    return rows


def order_rows(run_id: str, decisions: Sequence[Decision]) -> list[Row]:
    """Return one row for every order that was wanted, accepted or denied."""
    orders = OrderBatch.concat([d.orders for d in decisions])
    n = len(orders)
    rows: list[Row] = list(
        zip(
            [run_id] * n,
            orders.order_id.tolist(),
            _repeat_seq(decisions, [len(d.orders) for d in decisions]),
            orders.ts_ns.tolist(),
            orders.symbol_id.tolist(),
            ["accepted"] * n,
            [""] * n,
            [None] * n,
            [None] * n,
            orders.side.tolist(),
            null_nan(orders.quantity),
            orders.kind.tolist(),
            null_nan(orders.limit_price),
            orders.time_in_force.tolist(),
            null_nan(orders.reference_price),
            strict=True,
        )
    )
    for d in decisions:
        for denial in d.denials:
            value, limit = null_nan(np.array([denial.value, denial.limit], np.float64))
            head = (run_id, int(denial.order_id), int(d.seq), int(d.ts_ns), int(denial.symbol_id))
            rows.append((*head, "denied", str(denial.reason), value, limit, *[None] * 6))
    return rows


def fill_rows(run_id: str, decisions: Sequence[Decision]) -> list[Row]:
    """Return one row a fill; `seq` is the decision whose slice executed it."""
    fills = FillBatch.concat([d.fills for d in decisions])
    for name in ("quantity", "price", "commission", "spread_cost", "impact_cost"):
        values = getattr(fills, name)
        if not np.isfinite(values).all():
            raise DataError(f"fills have {name}={values[~np.isfinite(values)][0]}; a finite number is needed")
    return list(
        zip(
            [run_id] * len(fills),
            fills.fill_id.tolist(),
            fills.order_id.tolist(),
            _repeat_seq(decisions, [len(d.fills) for d in decisions]),
            fills.ts_ns.tolist(),
            fills.symbol_id.tolist(),
            fills.side.tolist(),
            fills.quantity.tolist(),
            fills.price.tolist(),
            fills.commission.tolist(),
            fills.spread_cost.tolist(),
            fills.impact_cost.tolist(),
            strict=True,
        )
    )


def decision_events(run: RunRecord, decisions: Sequence[Decision], traces: Sequence[str]) -> Iterable[Event]:
    """Yield the denials, withdrawals and state changes of decisions as events."""
    for d, trace_id in zip(decisions, traces, strict=True):
        common: dict[str, Any] = {"run_id": run.run_id, "trace_id": trace_id, "ts_ns": int(d.ts_ns)}
        for denial in d.denials:
            yield OrderDenied(
                order_id=format_order_id(int(denial.order_id)),
                symbol=run.symbols[denial.symbol_id],
                reason=denial.reason,
                value=float(denial.value),
                limit=float(denial.limit),
                **common,
            )
        for gone in d.withdrawals:
            of: dict[str, Any] = {
                "order_id": format_order_id(int(gone.order_id)),
                "symbol": run.symbols[gone.symbol_id],
            }
            if gone.rejected:
                yield OrderRejected(reason=gone.reason, **of, **common)
            else:
                yield OrderCancelled(reason=gone.reason, remaining=float(gone.remaining), **of, **common)
        for change in d.state_changes:
            yield TradingStateChanged(
                previous=change.previous, current=change.current, who=change.who, why=change.why, **common
            )


def event_row(event: Event) -> Row:
    """Return an event's row; its digest makes the same event, written twice, one."""
    payload = to_json(event.payload())
    identity = to_json([event.trace_id, int(event.ts_ns), event.kind, payload])
    digest = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
    return (event.run_id, digest, event.trace_id, int(event.ts_ns), event.kind, payload)


def _repeat_seq(decisions: Sequence[Decision], counts: Sequence[int]) -> list[int]:
    repeated: list[int] = np.repeat(np.array([d.seq for d in decisions], np.int64), counts).tolist()
    return repeated


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise DataError(f"{name}={value} in a decision; a finite number is needed")
    return float(value)


def _packed(name: str, values: NDArray[np.float64], size: int) -> bytes:
    if values.size != size:
        raise DataError(f"{name} has {values.size} values in a decision; this run's symbols ask for {size}")
    return pack(values)
