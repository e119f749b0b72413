"""From rows back to arrays and Arrow tables, in an order that does not depend on the database."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, func, select

from trader.core.orders import FillBatch, OrderKind, TimeInForce, format_fill_id, format_order_id
from trader.storage import schema
from trader.storage.codec import from_json, unpack
from trader.storage.experiment_tables import variant_marks
from trader.storage.records import DecisionTable, EventRecord, RunRecord, VariantMark

__all__ = [
    "read_cash",
    "read_decisions",
    "read_events",
    "read_fill_batch",
    "read_fills",
    "read_last_seq",
    "read_loop_state",
    "read_orders",
    "read_recent_features",
    "read_recent_prices",
    "read_runs",
    "read_variant_marks",
    "signal_table",
]

_TIMESTAMP = pa.timestamp("ns", tz="UTC")
_KINDS = {int(kind): kind.name.lower() for kind in OrderKind}
_TIMES_IN_FORCE = {int(tif): tif.name.lower() for tif in TimeInForce}


def read_runs(connection: Connection, run_id: str | None = None) -> list[RunRecord]:
    """Return all runs, oldest first, or the one of an id if it exists."""
    query = select(schema.runs).order_by(schema.runs.c.created_ns, schema.runs.c.run_id)
    if run_id is not None:
        query = query.where(schema.runs.c.run_id == run_id)
    runs = []
    for row in connection.execute(query).mappings():
        values: dict[str, Any] = dict(row)
        values |= {name: from_json(values[name]) for name in ("settings", "extra", "summary")}
        values |= {name: tuple(from_json(values[name])) for name in ("symbols", "feature_names", "member_names")}
        runs.append(RunRecord(**values))
    return runs


def read_last_seq(connection: Connection, run_id: str) -> int:
    """Return the number of a run's last decision, -1 if there is none."""
    found = connection.scalar(select(func.max(schema.decisions.c.seq)).where(schema.decisions.c.run_id == run_id))
    return -1 if found is None else int(found)


def read_loop_state(connection: Connection, run_id: str) -> dict[str, Any] | None:
    """Return the latest loop state of a run, None if there is none."""
    text = connection.scalar(select(schema.loop_state.c.state).where(schema.loop_state.c.run_id == run_id))
    return None if text is None else dict(from_json(text))


def read_decisions(connection: Connection, run: RunRecord) -> DecisionTable:
    """Return the decisions of a run."""
    d = schema.decisions.c
    got = _columns(connection, select(schema.decisions).where(d.run_id == run.run_id).order_by(d.seq))
    shape = (len(got["seq"]), len(run.symbols))
    members = _members(got["member_names"], got["members"], shape)
    arrays: dict[str, NDArray[Any]] = {
        **{name: np.array(got[name], np.int64) for name in ("seq", "ts_ns")},
        **{name: np.array(got[name], np.float64) for name in ("equity", "cash", "latency_ns")},
        **{name: unpack(got[name], shape) for name in ("positions", "prices", "score", "target")},
    }
    for array in (*arrays.values(), *members.values()):
        array.flags.writeable = False
    return DecisionTable(trace_id=tuple(got["trace_id"]), members=members, **arrays)


def read_recent_features(connection: Connection, run: RunRecord, n_slices: int) -> NDArray[np.float64]:
    """Return the features (n_slices, n_symbols, n_features) of the last decisions that have them, oldest first."""
    d = schema.decisions.c
    query = select(d.features).where(d.run_id == run.run_id, d.features.is_not(None)).order_by(d.seq.desc())
    blobs = list(connection.scalars(query.limit(n_slices)))[::-1]
    return unpack(blobs, (len(blobs), len(run.symbols), len(run.feature_names)))


def read_recent_prices(connection: Connection, run: RunRecord, n_slices: int) -> NDArray[np.float64]:
    """Return the prices (n_slices, n_symbols) at the last decisions, oldest first."""
    d = schema.decisions.c
    query = select(d.prices).where(d.run_id == run.run_id).order_by(d.seq.desc()).limit(n_slices)
    blobs = list(connection.scalars(query))[::-1]
    return unpack(blobs, (len(blobs), len(run.symbols)))


def read_orders(connection: Connection, run: RunRecord) -> pa.Table:
    """Return every order that was wanted, by id."""
    o, d = schema.orders, schema.decisions
    got = _columns(
        connection,
        select(o, d.c.trace_id)
        .join(d, (d.c.run_id == o.c.run_id) & (d.c.seq == o.c.seq))
        .where(o.c.run_id == run.run_id)
        .order_by(o.c.order_id),
    )
    return pa.table(
        {
            "run_id": pa.array(got["run_id"], pa.string()),
            "order_id": pa.array([format_order_id(i) for i in got["order_id"]], pa.string()),
            "trace_id": pa.array(got["trace_id"], pa.string()),
            "seq": pa.array(got["seq"], pa.int64()),
            "ts": pa.array(got["ts_ns"], pa.int64()).cast(_TIMESTAMP),
            "symbol": _symbols(run, got["symbol_id"]),
            "verdict": pa.array(got["verdict"], pa.string()),
            "reason": pa.array(got["reason"], pa.string()),
            "rule_value": pa.array(got["rule_value"], pa.float64()),
            "rule_limit": pa.array(got["rule_limit"], pa.float64()),
            "side": pa.array(got["side"], pa.int8()),
            "quantity": pa.array(got["quantity"], pa.float64()),
            "kind": pa.array([_KINDS.get(k) for k in got["kind"]], pa.string()),
            "limit_price": pa.array(got["limit_price"], pa.float64()),
            "time_in_force": pa.array([_TIMES_IN_FORCE.get(t) for t in got["time_in_force"]], pa.string()),
            "reference_price": pa.array(got["reference_price"], pa.float64()),
        }
    )


def read_fills(connection: Connection, run: RunRecord) -> pa.Table:
    """Return the fills, by decision and id; `trace_id` is that of the decision that ordered them."""
    f, o, d = schema.fills, schema.orders, schema.decisions
    got = _columns(
        connection,
        select(f, d.c.trace_id)
        .join(o, (o.c.run_id == f.c.run_id) & (o.c.order_id == f.c.order_id))
        .join(d, (d.c.run_id == o.c.run_id) & (d.c.seq == o.c.seq))
        .where(f.c.run_id == run.run_id)
        .order_by(f.c.seq, f.c.fill_id),
    )
    numbers = ("quantity", "price", "commission", "spread_cost", "impact_cost")
    return pa.table(
        {
            "run_id": pa.array(got["run_id"], pa.string()),
            "fill_id": pa.array([format_fill_id(i) for i in got["fill_id"]], pa.string()),
            "order_id": pa.array([format_order_id(i) for i in got["order_id"]], pa.string()),
            "trace_id": pa.array(got["trace_id"], pa.string()),
            "seq": pa.array(got["seq"], pa.int64()),
            "ts": pa.array(got["ts_ns"], pa.int64()).cast(_TIMESTAMP),
            "symbol": _symbols(run, got["symbol_id"]),
            "side": pa.array(got["side"], pa.int8()),
            **{name: pa.array(got[name], pa.float64()) for name in numbers},
        }
    )


def read_fill_batch(connection: Connection, run_id: str, order_id: int | None = None) -> FillBatch:
    """Return the fills of a run, or of one order, as a message, by decision and id."""
    f = schema.fills.c
    query = select(*[f[name] for name in FillBatch.DTYPES]).where(f.run_id == run_id).order_by(f.seq, f.fill_id)
    if order_id is not None:
        query = query.where(f.order_id == order_id)
    got = _columns(connection, query)
    return FillBatch(**{name: np.array(got[name], dtype) for name, dtype in FillBatch.DTYPES.items()})


def read_events(
    connection: Connection, run_id: str, kind: str | None = None, order_id: str | None = None
) -> list[EventRecord]:
    """Return the events of a run, those of one kind or of one order, in the order they were written."""
    e = schema.events.c
    query = select(e.run_id, e.trace_id, e.ts_ns, e.kind, e.payload).where(e.run_id == run_id).order_by(e.event_no)
    if kind is not None:
        query = query.where(e.kind == kind)
    if order_id is not None:
        query = query.where(e.payload.contains(f'"order_id":"{order_id}"', autoescape=True))
    return [EventRecord(*row[:4], payload=from_json(row[4])) for row in connection.execute(query)]


def read_cash(connection: Connection, run_id: str) -> pa.Table:
    """Return the deposits and withdrawals of a run."""
    m = schema.cash_movements.c
    got = _columns(connection, select(schema.cash_movements).where(m.run_id == run_id).order_by(m.movement_id))
    return pa.table(
        {
            "movement_id": pa.array(got["movement_id"], pa.int64()),
            "ts": pa.array(got["ts_ns"], pa.int64()).cast(_TIMESTAMP),
            "amount": pa.array(got["amount"], pa.float64()),
            "reason": pa.array(got["reason"], pa.string()),
        }
    )


def read_variant_marks(connection: Connection, run_id: str) -> list[VariantMark]:
    """Return the equity of the variants of a run's experiment, by decision."""
    m = variant_marks.c
    query = select(*(m[field] for field in VariantMark._fields)).where(m.run_id == run_id).order_by(m.seq)
    return [VariantMark(*row) for row in connection.execute(query)]


def signal_table(run: RunRecord, table: DecisionTable) -> pa.Table:
    """Return decisions in long form: one row a decision and symbol, one column a member; null abstains."""
    n, n_symbols = len(table), len(run.symbols)

    def flat(values: NDArray[np.float64]) -> pa.Array:
        return pa.array(values.ravel(), pa.float64(), from_pandas=True)

    return pa.table(
        {
            "ts": pa.array(np.repeat(table.ts_ns, n_symbols), pa.int64()).cast(_TIMESTAMP),
            "symbol": _symbols(run, np.tile(np.arange(n_symbols), n)),
            "score": flat(table.score),
            "target": flat(table.target),
            **{name: flat(scores) for name, scores in table.members.items()},
        }
    )


def _members(names: list[str], blobs: list[bytes], shape: tuple[int, int]) -> dict[str, NDArray[np.float64]]:
    members: dict[str, NDArray[np.float64]] = {}
    for text in dict.fromkeys(names):  # an ensemble changes a few times in a run at most
        rows = [i for i, other in enumerate(names) if other == text]
        ensemble = from_json(text)
        scores = unpack([blobs[i] for i in rows], (len(rows), len(ensemble), shape[1]))
        for k, name in enumerate(ensemble):
            if name not in members:
                members[name] = np.full(shape, np.nan)
            members[name][rows] = scores[:, k]
    return members


def _columns(connection: Connection, query: Select[Any]) -> dict[str, list[Any]]:
    result = connection.execute(query)
    names, rows = list(result.keys()), result.all()
    if not rows:
        return {name: [] for name in names}
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _symbols(run: RunRecord, symbol_ids: Any) -> pa.Array:
    names = pa.array(run.symbols, pa.string())
    return names.take(pa.array(symbol_ids, pa.int64()))
