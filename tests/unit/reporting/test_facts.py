"""Counts, latencies, and books that balance or are caught not to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trader.core.events import PredictionsBack, PredictionsMissing, StoreBack, StoreGone
from trader.reporting.facts import accounting_check, count_unpredicted, event_lines, latency_facts, order_facts
from trader.reporting.run_data import EQUAL_WEIGHT, curves_of, entry_cost_rate, read_run
from trader.storage import Store

Simulate = Callable[..., Any]


def test_orders_are_counted_as_they_were_decided(store: Store, simulate: Simulate) -> None:
    """Accepted, denied by reason, filled and withdrawn orders are those of the decisions."""
    run = simulate()
    facts = order_facts(read_run(store, run.run_id))
    assert facts.accepted == sum(len(d.orders) for d in run.decisions)
    assert facts.denied_by_reason == {"position_limit": 12}
    assert facts.wanted == facts.accepted + facts.denied
    assert facts.filled == facts.fills == len(run.fills)
    assert (facts.cancelled, facts.rejected, facts.withdrawn_by_reason) == (3, 0, {"session end": 3})


def test_instants_without_a_prediction_are_counted(store: Store, simulate: Simulate) -> None:
    """Each outage counts from its first decision to the first that has a prediction again, or to the run's end."""
    run = simulate(n_days=50)
    common: dict[str, Any] = {"run_id": run.run_id, "trace_id": ""}
    assert count_unpredicted(read_run(store, run.run_id)) == 0
    for event in (
        PredictionsMissing(seq=3, reason="nobody there", ts_ns=1, **common),
        PredictionsBack(seq=7, missed=4, ts_ns=2, **common),
        StoreGone(reason="connection refused", ts_ns=3, **common),
        StoreBack(seconds=1.5, decisions=8, ts_ns=4, **common),
        PredictionsMissing(seq=45, reason="nobody there", ts_ns=5, **common),
    ):
        store.record_event(event)
    data = read_run(store, run.run_id)
    assert count_unpredicted(data) == 4 + 5
    texts = {line["ts_ns"]: line["text"] for line in event_lines(data)}
    assert [texts[ts_ns] for ts_ns in (1, 2, 3, 4)] == [
        "No model answered from decision 3 on: nobody there",
        "Models answer again from decision 7 on, after 4 without",
        "The store was gone: connection refused",
        "The store was back after 1.5 s; 8 decisions had waited",
    ]


def test_latency_quantiles() -> None:
    """Quantiles are numpy's over what was measured, in milliseconds."""
    facts = latency_facts(np.append(np.arange(1, 102) * 1e6, np.nan))
    assert (facts.measured, facts.p50_ms, facts.p99_ms, facts.max_ms) == (101, 51.0, 100.0, 101.0)
    assert math.isnan(latency_facts(np.array([np.nan])).p50_ms)


def test_the_books_of_a_run_balance(store: Store, simulate: Simulate) -> None:
    """Cash and positions replayed from the fills are those stored, and make up equity."""
    check = accounting_check(read_run(store, simulate().run_id))
    assert check.holds
    assert max(check.equity_error, check.replay_error) < 1e-12


@pytest.mark.parametrize("column", ["equity", "cash", "positions"])
def test_a_wrong_number_is_caught(store: Store, simulate: Simulate, column: str) -> None:
    """One altered number in one row, by a millionth, breaks the identity."""
    data = read_run(store, simulate().run_id)
    altered = getattr(data.decisions, column).copy()
    altered[60] *= 1.0 + 1e-6
    broken = dataclasses.replace(data, decisions=dataclasses.replace(data.decisions, **{column: altered}))
    assert not accounting_check(broken).holds


def test_a_lost_fill_is_caught(store: Store, simulate: Simulate) -> None:
    """A run whose fills do not explain its positions does not balance."""
    data = read_run(store, simulate().run_id)
    keep = np.arange(len(data.fills)) != 17
    broken = dataclasses.replace(data, fills=data.fills.take(keep), fill_seq=data.fill_seq[keep])
    check = accounting_check(broken)
    assert not check.holds
    assert check.equity_error < 1e-12 < check.replay_error


def test_events_of_orders_are_not_listed_one_by_one(store: Store, simulate: Simulate) -> None:
    """Only what people want to read is listed: the restart and the change of state."""
    lines = event_lines(read_run(store, simulate().run_id))
    assert sorted(line["kind"] for line in lines) == ["part_restarted", "trading_state_changed"]


def test_the_benchmark_pays_what_the_broker_asks(store: Store, simulate: Simulate) -> None:
    """Entering buy-and-hold costs half-spread and commission of the run's own settings."""
    run = simulate(settings={"execution": {"half_spread_bps": 30.0, "commission_bps": 20.0}})
    data = read_run(store, run.run_id)
    assert entry_cost_rate(data.record) == pytest.approx(0.005)
    curve = curves_of(data, None).benchmarks[EQUAL_WEIGHT]
    assert curve[0] == run.equity[0]
    assert curve[1] == pytest.approx(run.equity[0] / 1.005)
    growth = (run.prices[-1] / run.prices[1]).mean()
    assert curve[-1] == pytest.approx(run.equity[0] / 1.005 * growth)


def test_traded_value_lands_on_the_decision_that_saw_the_fills(store: Store, simulate: Simulate) -> None:
    """The curve of traded value is the sum of the fills of each decision."""
    run = simulate(n_days=20)
    traded = curves_of(read_run(store, run.run_id), None).traded
    np.testing.assert_allclose(traded, [float((d.fills.quantity * d.fills.price).sum()) for d in run.decisions])
