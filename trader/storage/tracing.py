"""From one order back to everything that led to it, and forward to what became of it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from trader.core.errors import DataError, NotFoundError
from trader.core.orders import format_order_id, order_ids
from trader.storage import schema
from trader.storage.codec import from_json, unpack
from trader.storage.reading import read_events, read_fill_batch
from trader.storage.records import OrderTrace, RunRecord

__all__ = ["parse_order_id", "trace_order"]

_ORDER_ID = re.compile(r"O-(\d{8,})-(\d{4,5})")


def parse_order_id(text: str) -> int:
    """Return the number behind an order id that people see.

    >>> parse_order_id("O-00000003-0001")
    196609

    Raises
    ------
    DataError
        If it has another form.
    """
    found = _ORDER_ID.fullmatch(text)
    if found is None:
        raise DataError(f"order_id={text!r} is not of the form O-00000003-0001")
    seq, place = (int(part) for part in found.groups())
    return int(order_ids(seq, place + 1)[place])


def trace_order(connection: Connection, run: RunRecord, order_id: int) -> OrderTrace:
    """Return the trace of an order; one that the run does not have raises NotFoundError."""
    o, d = schema.orders, schema.decisions
    order = _one(connection, select(o).where(o.c.run_id == run.run_id, o.c.order_id == order_id))
    if order is None:
        raise NotFoundError(f"order {format_order_id(order_id)} does not exist in run {run.run_id}")
    decision = _one(connection, select(d).where(d.c.run_id == run.run_id, d.c.seq == order["seq"]))
    assert decision is not None  # noqa: S101 - a foreign key says so
    row = order["symbol_id"]
    n_symbols = len(run.symbols)
    names = tuple(from_json(decision["member_names"]))
    scores = unpack([decision["members"]], (len(names), n_symbols))[:, row].tolist()
    at = {k: float(unpack([decision[k]], (n_symbols,))[row]) for k in ("prices", "positions", "score", "target")}
    return OrderTrace(
        order_id=format_order_id(order_id),
        trace_id=decision["trace_id"],
        seq=order["seq"],
        ts_ns=decision["ts_ns"],
        feed_seq=decision["feed_seq"],
        symbol=run.symbols[row],
        verdict=order["verdict"],
        reason=order["reason"],
        rule_value=_number(order["rule_value"]),
        rule_limit=_number(order["rule_limit"]),
        side=order["side"] or 0,
        quantity=_number(order["quantity"]),
        price=at["prices"],
        position=at["positions"],
        score=at["score"],
        target=at["target"],
        members=dict(zip(names, scores, strict=True)),
        model_versions=dict(name.rpartition("@")[::2] for name in names if "@" in name),
        features=_features(run, decision["features"], row),
        fills=read_fill_batch(connection, run.run_id, order_id),
        outcomes=tuple(read_events(connection, run.run_id, order_id=format_order_id(order_id))),
    )


def _one(connection: Connection, query: Any) -> dict[str, Any] | None:
    found = connection.execute(query).mappings().one_or_none()
    return None if found is None else dict(found)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _features(run: RunRecord, blob: bytes | None, row: int) -> dict[str, float]:
    if blob is None:
        return {}
    values = unpack([blob], (len(run.symbols), len(run.feature_names)))[row]
    return dict(zip(run.feature_names, values.tolist(), strict=True))
