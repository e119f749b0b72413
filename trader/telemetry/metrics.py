"""Prometheus metrics of a run, in a registry of their own."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from trader.core.decision import Decision
from trader.core.events import Event
from trader.telemetry.feed_metrics import FeedCounters, FeedMetrics
from trader.telemetry.sink_metrics import SinkCounters, SinkMetrics

__all__ = ["CONTENT_TYPE", "LATENCY_BUCKETS_S", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""The media type of `Metrics.render`."""

LATENCY_BUCKETS_S: tuple[float, ...] = (
    *(0.0001, 0.00025, 0.0005),
    *(0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5),
    *(1.0, 2.5),
)
"""Upper bounds in seconds: 100 microseconds to 2.5 s, three a decade; slower decisions fall into +Inf."""


class Metrics:
    """Counts what a run does.

    ========================================= ========= ==========================================
    name                                      type      labels
    ========================================= ========= ==========================================
    trader_ticks_total                        counter
    trader_bars_total                         counter
    trader_decisions_total                    counter
    trader_orders_total                       counter   verdict (accepted, denied), reason
    trader_fills_total                        counter
    trader_withdrawals_total                  counter   outcome (cancelled, rejected)
    trader_decision_latency_seconds           histogram
    trader_equity                             gauge
    trader_dropped_total                      counter   where
    trader_events_total                       counter   kind (predictions_missing, store_gone, …)
    trader_unpredicted                        gauge
    trader_store_waiting                      gauge
    trader_var, trader_es                     gauge     method
    trader_exposure                           gauge     kind (gross, net, long, short)
    trader_drawdown                           gauge
    trader_option_greek                       gauge     greek (value, delta, …)
    trader_feed_…                             …         see `FeedMetrics`
    trader_sink_…                             …         see `SinkMetrics`
    ========================================= ========= ==========================================

    Parameters
    ----------
    run_id : str
        Label of `trader_run_info`, to join the others with.
    """

    def __init__(self, run_id: str) -> None:
        self.registry = CollectorRegistry()
        self._ticks = Counter("trader_ticks", "Trades and quotes taken in.", registry=self.registry)
        self._bars = Counter("trader_bars", "Bars built or taken in.", registry=self.registry)
        self._decisions = Counter("trader_decisions", "Instants decided on.", registry=self.registry)
        self._orders = Counter(
            "trader_orders", "Orders wanted, by the gate's verdict.", ("verdict", "reason"), registry=self.registry
        )
        self._fills = Counter("trader_fills", "Executions.", registry=self.registry)
        self._withdrawals = Counter(
            "trader_withdrawals", "Orders that ended unfilled.", ("outcome",), registry=self.registry
        )
        self._latency = Histogram(
            "trader_decision_latency_seconds",
            "From data to decision.",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._equity = Gauge("trader_equity", "Cash and positions, in currency.", registry=self.registry)
        self._dropped = Counter("trader_dropped", "Rows or messages dropped.", ("where",), registry=self.registry)
        self._events = Counter("trader_events", "Models or the store gone, or back.", ("kind",), registry=self.registry)
        self._unpredicted = Gauge("trader_unpredicted", "Instants at which no model answered.", registry=self.registry)
        self._waiting = Gauge("trader_store_waiting", "Decisions that the store has not taken.", registry=self.registry)
        self._var = Gauge(
            "trader_var", "Value at risk of the next bar, over equity.", ("method",), registry=self.registry
        )
        self._es = Gauge("trader_es", "Expected shortfall, likewise.", ("method",), registry=self.registry)
        self._exposure = Gauge("trader_exposure", "Sums of weights, over equity.", ("kind",), registry=self.registry)
        self._drawdown = Gauge("trader_drawdown", "Loss from the highest equity, over it.", registry=self.registry)
        self._greeks = Gauge(
            "trader_option_greek",
            "Of the options held beside the run, in currency.",
            ("greek",),
            registry=self.registry,
        )
        self._feeds = FeedMetrics(self.registry)
        self._sinks = SinkMetrics(self.registry)
        Gauge("trader_run_info", "The run.", ("run_id",), registry=self.registry).labels(run_id).set(1)

    def add_ticks(self, count: int) -> None:
        """Count trades and quotes."""
        self._ticks.inc(count)

    def add_bars(self, count: int) -> None:
        """Count bars."""
        self._bars.inc(count)

    def on_counters(self, counters: FeedCounters | SinkCounters) -> None:
        """Show the totals of a feed's source, or of a sink."""
        if isinstance(counters, FeedCounters):
            self._feeds.update(counters)
        else:
            self._sinks.update(counters)

    def add_drops(self, where: str, count: int) -> None:
        """Count what a full buffer named `where` dropped."""
        self._dropped.labels(where).inc(count)

    def on_event(self, event: Event) -> None:
        """Count an event by its kind."""
        self._events.labels(event.kind).inc()

    def set_standing(self, unpredicted: int, waiting: int) -> None:
        """Set how many instants were without a prediction, and how many decisions wait for the store."""
        self._unpredicted.set(unpredicted)
        self._waiting.set(waiting)

    def set_risk(
        self,
        figures: Mapping[str, tuple[float, float]],
        exposure: Mapping[str, float],
        drawdown: float,
        greeks: Mapping[str, float],
    ) -> None:
        """Set value at risk and expected shortfall by method, exposures by kind, the drawdown, and Greeks by name.

        A method that could not be estimated is taken off, so that nobody mistakes an old figure for a new one.
        """
        self._var.clear()
        self._es.clear()
        for method, (var, es) in figures.items():
            self._var.labels(method).set(var)
            self._es.labels(method).set(es)
        for kind, value in exposure.items():
            self._exposure.labels(kind).set(value)
        self._drawdown.set(drawdown)
        self._greeks.clear()
        for name, value in greeks.items():
            self._greeks.labels(name).set(value)

    def on_decision(self, decision: Decision, latency_ns: int | None = None) -> None:
        """Count a decision and all that happened in it."""
        self._decisions.inc()
        self._equity.set(decision.equity)
        self._fills.inc(len(decision.fills))
        if len(decision.orders):
            self._orders.labels("accepted", "").inc(len(decision.orders))
        for denial in decision.denials:
            self._orders.labels("denied", denial.reason.value).inc()
        for withdrawal in decision.withdrawals:
            self._withdrawals.labels("rejected" if withdrawal.rejected else "cancelled").inc()
        if latency_ns is not None:
            self._latency.observe(latency_ns / 1e9)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
