"""From decisions and events to rows: tuples in the column order of `trader.storage.schema`."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.decision import DecisionBlock, Incidents
from trader.core.errors import DataError
from trader.core.events import Event, OrderCancelled, OrderDenied, OrderRejected, TradingStateChanged
from trader.core.orders import FillBatch, OrderBatch, format_order_id
from trader.storage.codec import ITEM_SIZE, names_json, null_nan, pack, to_json
from trader.storage.records import RunRecord, ShareChange
from trader.storage.schema import runs

__all__ = [
    "Extras",
    "decision_events",
    "decision_rows",
    "event_row",
    "fill_rows",
    "order_rows",
    "run_row",
    "share_row",
]

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


def decision_rows(run: RunRecord, blocks: Iterable[DecisionBlock], extras: Extras) -> list[Row]:
    """Return one row a decision; features are kept where they are given."""
    n_symbols, n_features = len(run.symbols), len(run.feature_names)
    rows: list[Row] = []
    for block in blocks:
        count, own = len(block), slice(len(rows), len(rows) + len(block))
        members = [_packed(name, scores, n_symbols) for name, scores in block.members.items()]
        rows += zip(
            [run.run_id] * count,
            block.seq.tolist(),
            block.ts_ns.tolist(),
            extras.traces[own],
            _finite("equity", block.equity),
            _finite("cash", block.cash),
            [None] * count if extras.latency_ns is None else extras.latency_ns[own],
            [None] * count if extras.feed_seq is None else extras.feed_seq[own],
            _packed("positions", block.positions, n_symbols),
            _packed("prices", block.prices, n_symbols),
            _packed("score", block.score, n_symbols),
            _packed("target", block.target, n_symbols),
            [names_json(tuple(block.members))] * count,
            map(b"".join, zip(*members, strict=True)) if members else [b""] * count,
            [None] * count if extras.features is None else _features(extras.features[own], n_symbols * n_features),
            strict=True,
        )
    return rows


def order_rows(run_id: str, blocks: Sequence[DecisionBlock]) -> list[Row]:
    """Return one row for every order that was wanted, accepted or denied."""
    orders = OrderBatch.concat([block.orders for block in blocks])
    n = len(orders)
    rows: list[Row] = list(
        zip(
            [run_id] * n,
            orders.order_id.tolist(),
            _repeat_seq(blocks, [block.n_orders for block in blocks]),
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
    for _, seq, ts_ns, incidents in _incidents(blocks):
        for denial in incidents.denials:
            value, limit = null_nan(np.array([denial.value, denial.limit], np.float64))
            head = (run_id, int(denial.order_id), seq, ts_ns, int(denial.symbol_id))
            rows.append((*head, "denied", str(denial.reason), value, limit, *[None] * 6))
    return rows


def fill_rows(run_id: str, blocks: Sequence[DecisionBlock]) -> list[Row]:
    """Return one row a fill; `seq` is the decision whose slice executed it."""
    fills = FillBatch.concat([block.fills for block in blocks])
    for name in ("quantity", "price", "commission", "spread_cost", "impact_cost"):
        values = getattr(fills, name)
        if not np.isfinite(values).all():
            raise DataError(f"fills have {name}={values[~np.isfinite(values)][0]}; a finite number is needed")
    return list(
        zip(
            [run_id] * len(fills),
            fills.fill_id.tolist(),
            fills.order_id.tolist(),
            _repeat_seq(blocks, [block.n_fills for block in blocks]),
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


def decision_events(run: RunRecord, blocks: Sequence[DecisionBlock], traces: Sequence[str]) -> Iterable[Event]:
    """Yield the denials, withdrawals and state changes of decisions as events."""
    for place, _, ts_ns, incidents in _incidents(blocks):
        common: dict[str, Any] = {"run_id": run.run_id, "trace_id": traces[place], "ts_ns": ts_ns}
        for denial in incidents.denials:
            yield OrderDenied(
                order_id=format_order_id(int(denial.order_id)),
                symbol=run.symbols[denial.symbol_id],
                reason=denial.reason,
                value=float(denial.value),
                limit=float(denial.limit),
                **common,
            )
        for gone in incidents.withdrawals:
            of: dict[str, Any] = {
                "order_id": format_order_id(int(gone.order_id)),
                "symbol": run.symbols[gone.symbol_id],
            }
            if gone.rejected:
                yield OrderRejected(reason=gone.reason, **of, **common)
            else:
                yield OrderCancelled(reason=gone.reason, remaining=float(gone.remaining), **of, **common)
        for change in incidents.state_changes:
            yield TradingStateChanged(
                previous=change.previous, current=change.current, who=change.who, why=change.why, **common
            )


def event_row(event: Event) -> Row:
    """Return an event's row; its digest makes the same event, written twice, one."""
    payload = to_json(event.payload())
    identity = to_json([event.trace_id, int(event.ts_ns), event.kind, payload])
    digest = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
    return (event.run_id, digest, event.trace_id, int(event.ts_ns), event.kind, payload)


def share_row(run_id: str, change: ShareChange) -> Row:
    """Return the row of a share that a run changed; its number makes the same change, written twice, one."""
    payload = to_json({"seq": change.seq, "share": change.share, **change.evidence})
    return (change.experiment, run_id, "share", payload, time.time_ns(), "trader", change.reason, change.seq)


def _features(features: Iterable[NDArray[np.float64] | None], size: int) -> list[bytes | None]:
    return [None if seen is None else _packed("features", seen[None], size)[0] for seen in features]


def _incidents(blocks: Iterable[DecisionBlock]) -> Iterator[tuple[int, int, int, Incidents]]:
    """Yield place, number, time and incidents of the decisions that have any."""
    before = 0
    for block in blocks:
        for row, incidents in block.incidents.items():
            yield before + row, int(block.seq[row]), int(block.ts_ns[row]), incidents
        before += len(block)


def _repeat_seq(blocks: Sequence[DecisionBlock], counts: Sequence[NDArray[np.int64]]) -> list[int]:
    if not blocks:
        return []
    repeated: list[int] = np.repeat(np.concatenate([b.seq for b in blocks]), np.concatenate(counts)).tolist()
    return repeated


def _finite(name: str, values: NDArray[np.float64]) -> list[float]:
    if not np.isfinite(values).all():
        raise DataError(f"{name}={values[~np.isfinite(values)][0]} in a decision; a finite number is needed")
    column: list[float] = values.tolist()
    return column


def _packed(name: str, table: NDArray[np.float64], size: int) -> list[bytes]:
    """Return each row of a table as bytes; `size` numbers a row are needed."""
    if table[0].size != size:
        raise DataError(f"{name} has {table[0].size} values in a decision; this run's symbols ask for {size}")
    content, width = pack(table), size * ITEM_SIZE
    return [content[start : start + width] for start in range(0, len(content), width)]
