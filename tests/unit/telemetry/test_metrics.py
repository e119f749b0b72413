"""Metrics count decisions and what happened in them, and speak Prometheus."""

from __future__ import annotations

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from trader.core.decision import Decision
from trader.core.orders import Denial, DenialReason, FillBatch, OrderBatch, order_ids
from trader.core.protocols import Withdrawal
from trader.telemetry.metrics import LATENCY_BUCKETS_S, Metrics


def _decision(seq: int, n_orders: int, n_fills: int) -> Decision:
    row, ones, fills = np.zeros(2), np.ones(n_orders), np.ones(n_fills)
    orders = OrderBatch(order_ids(seq, n_orders), ones, ones, ones, ones, ones, ones, ones, ones)
    denials = (Denial(0, 0, DenialReason.DRAWDOWN, 0.4, 0.35), Denial(1, 0, DenialReason.NO_PRICE, 0.0, 0.0))
    gone = (Withdrawal(0, 0, 1.0, "no liquidity", True), Withdrawal(1, 0, 1.0, "halted", False))
    done = FillBatch(*[fills] * 10)
    return Decision(seq, 0, 100.0 + seq, 1.0, row, row, row, {}, row, orders, denials, done, gone, ())


def _samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_counts() -> None:
    """Every counter says what was done, by verdict, reason, outcome and place."""
    metrics = Metrics("r1")
    metrics.add_ticks(1000)
    metrics.add_bars(30)
    metrics.add_drops("feed", 4)
    metrics.on_decision(_decision(0, 3, 0), latency_ns=2_000_000)
    metrics.on_decision(_decision(1, 2, 4))
    got = _samples(metrics)
    assert got["trader_ticks_total", ()] == 1000
    assert got["trader_bars_total", ()] == 30
    assert got["trader_dropped_total", (("where", "feed"),)] == 4
    assert got["trader_decisions_total", ()] == 2
    assert got["trader_fills_total", ()] == 4
    assert got["trader_equity", ()] == 101
    assert got["trader_orders_total", (("reason", ""), ("verdict", "accepted"))] == 5
    assert got["trader_orders_total", (("reason", "drawdown"), ("verdict", "denied"))] == 2
    assert got["trader_withdrawals_total", (("outcome", "rejected"),)] == 2
    assert got["trader_run_info", (("run_id", "r1"),)] == 1


def test_latency_histogram() -> None:
    """A decision of 2 ms is in the bucket up to 2.5 ms and in no smaller one."""
    metrics = Metrics("r1")
    metrics.on_decision(_decision(0, 0, 0), latency_ns=2_000_000)
    got = _samples(metrics)
    for bound in LATENCY_BUCKETS_S:
        assert got["trader_decision_latency_seconds_bucket", (("le", str(bound)),)] == (bound >= 0.0025)
    assert got["trader_decision_latency_seconds_sum", ()] == 0.002


def test_registries_are_apart() -> None:
    """Two runs in one process do not share a counter."""
    first, second = Metrics("a"), Metrics("b")
    first.add_ticks(5)
    assert _samples(second)["trader_ticks_total", ()] == 0


def test_risk_that_is_no_longer_known_is_not_shown() -> None:
    """Figures by method, exposure and Greek; a method that drops out takes its figure with it."""
    metrics = Metrics("r1")
    exposure = {"gross": 0.9, "net": 0.1}
    metrics.set_risk({"historical": (0.02, 0.03), "evt": (0.025, 0.04)}, exposure, 0.1, {"delta": 5.0})
    metrics.set_risk({"historical": (0.01, 0.02)}, exposure, 0.2, {})
    got = _samples(metrics)
    assert got["trader_var", (("method", "historical"),)] == 0.01
    assert got["trader_es", (("method", "historical"),)] == 0.02
    assert ("trader_var", (("method", "evt"),)) not in got
    assert got["trader_exposure", (("kind", "net"),)] == 0.1
    assert got["trader_drawdown", ()] == 0.2
    assert ("trader_option_greek", (("greek", "delta"),)) not in got
