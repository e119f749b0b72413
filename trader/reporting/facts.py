"""What happened in a run beside its returns: orders, latency, events, and whether the books balance."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.portfolio.trading import holding_values
from trader.reporting.run_data import RunData

__all__ = [
    "AccountingCheck",
    "LatencyFacts",
    "OrderFacts",
    "accounting_check",
    "count_unpredicted",
    "event_lines",
    "latency_facts",
    "order_facts",
]

IntArray = NDArray[np.int64]

_TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True, slots=True)
class OrderFacts:
    """Orders that were wanted, and what became of them.

    Parameters
    ----------
    wanted, accepted, denied : int
        By the risk gate.
    denied_by_reason : mapping of str to int
        Most frequent first.
    filled : int
        Accepted orders with at least one fill.
    fills : int
        Executions.
    cancelled, rejected : int
        Accepted orders that were withdrawn, or refused by the broker.
    withdrawn_by_reason : mapping of str to int
        Of both; most frequent first.
    """

    wanted: int
    accepted: int
    denied: int
    denied_by_reason: Mapping[str, int]
    filled: int
    fills: int
    cancelled: int
    rejected: int
    withdrawn_by_reason: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class LatencyFacts:
    """From the arrival of data to the end of the decision, milliseconds; NaN where nothing was measured."""

    measured: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclasses.dataclass(frozen=True, slots=True)
class AccountingCheck:
    """Whether cash and positions follow from the fills, and equity from both, at every decision.

    Parameters
    ----------
    holds : bool
        Both errors are within 1e-9.
    equity_error : float
        Largest relative difference between equity and cash plus the value of positions.
    replay_error : float
        Largest difference between the stored cash and positions and those that the fills alone give, relative
        to equity and to the largest holding.
    """

    holds: bool
    equity_error: float
    replay_error: float


def order_facts(data: RunData) -> OrderFacts:
    """Count the orders of a run."""
    verdicts = collections.Counter(data.orders_table["verdict"].to_pylist())
    denied = collections.Counter(reason for reason in data.orders_table["reason"].to_pylist() if reason)
    cancelled = [event for event in data.events if event.kind == "order_cancelled"]
    rejected = [event for event in data.events if event.kind == "order_rejected"]
    withdrawn = collections.Counter(str(event.payload["reason"]) for event in (*cancelled, *rejected))
    return OrderFacts(
        wanted=data.orders_table.num_rows,
        accepted=verdicts["accepted"],
        denied=verdicts["denied"],
        denied_by_reason=dict(denied.most_common()),
        filled=int(np.unique(data.fills.order_id).size),
        fills=len(data.fills),
        cancelled=len(cancelled),
        rejected=len(rejected),
        withdrawn_by_reason=dict(withdrawn.most_common()),
    )


def latency_facts(latency_ns: NDArray[np.float64]) -> LatencyFacts:
    """Return the quantiles of latencies, shape (n_decisions,), nanoseconds; NaN was not measured."""
    known = latency_ns[np.isfinite(latency_ns)] / 1e6
    if not known.size:
        return LatencyFacts(0, float("nan"), float("nan"), float("nan"))
    p50, p99 = np.quantile(known, [0.5, 0.99])
    return LatencyFacts(int(known.size), float(p50), float(p99), float(known.max()))


def accounting_check(data: RunData) -> AccountingCheck:
    """Rebuild cash and positions from the fills and compare them with what was stored.

    A run begins without holdings: what the first decision holds must come from its own fills. Cash starts at
    what is left of the first equity after them, deposits and withdrawals follow their time stamps.
    """
    table, fills = data.decisions, data.fills
    if not len(table):
        return AccountingCheck(True, 0.0, 0.0)
    row = np.searchsorted(table.seq, data.fill_seq)
    bought = np.zeros_like(table.positions)
    np.add.at(bought, (row, fills.symbol_id), fills.side * fills.quantity)
    flow = np.zeros(len(table))
    np.add.at(flow, row, -fills.side * fills.quantity * fills.price - fills.commission)
    moved = data.cash_table["ts"].cast("int64").to_numpy()
    later = moved > table.ts_ns[0]
    amounts = data.cash_table["amount"].to_numpy()
    np.add.at(flow, np.minimum(np.searchsorted(table.ts_ns, moved[later]), len(table) - 1), amounts[later])
    flow[0] = 0.0
    scale = np.maximum(np.abs(table.equity), 1.0)
    value = holding_values(table.positions, table.prices).sum(axis=1)
    equity_error = float(np.max(np.abs(table.cash + value - table.equity) / scale))
    cash_error = np.max(np.abs(table.cash[0] + np.cumsum(flow) - table.cash) / scale)
    unit_error = np.max(np.abs(np.cumsum(bought, axis=0) - table.positions), initial=0.0)
    largest = max(float(np.abs(table.positions).max(initial=0.0)), 1.0)
    replay_error = float(max(cash_error, unit_error / largest))
    holds = bool(equity_error <= _TOLERANCE and replay_error <= _TOLERANCE)
    return AccountingCheck(holds, equity_error, replay_error)


def count_unpredicted(data: RunData) -> int:
    """Return at how many instants no model answered."""
    missed, since = 0, None
    for event in data.events:
        if event.kind == "predictions_missing":
            since = int(event.payload["seq"])
        elif event.kind == "predictions_back":
            missed, since = missed + int(event.payload["missed"]), None
    return missed if since is None else missed + len(data.decisions) - since


def event_lines(data: RunData) -> list[dict[str, Any]]:
    """Return the events that people want to read, in order: all but those of single orders.

    Each has `ts_ns`, `kind` and `text`.
    """
    lines = []
    for event in data.events:
        template = _TEXTS.get(event.kind)
        if template is not None:
            lines.append({"ts_ns": event.ts_ns, "kind": event.kind, "text": template.format_map(event.payload)})
    return lines


_TEXTS = {
    "trading_state_changed": "{previous} → {current} by {who}: {why}",
    "part_restarted": "{part} was brought back after {reason}; went on from decision {from_seq}",
    "data_rejected": "{count} rows of {source} refused: {reason}",
    "buffer_overflowed": "{buffer} dropped {dropped} rows",
    "sink_trouble": "{sink}: {dropped} rows dropped; {trouble}",
    "feed_trouble": "{source} {symbol}: {trouble}, {detail}",
    "predictions_missing": "No model answered from decision {seq} on: {reason}",
    "predictions_back": "Models answer again from decision {seq} on, after {missed} without",
    "store_gone": "The store was gone: {reason}",
    "store_back": "The store was back after {seconds} s; {decisions} decisions had waited",
}
