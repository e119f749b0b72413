"""Those who watch a run from outside: Prometheus, and a Redis stream. Neither can slow or stop it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import start_http_server

from trader.core.decision import DecisionBlock
from trader.core.errors import OperationError
from trader.core.events import Event, trace_id_of
from trader.engine.monitor import Standing
from trader.settings import TelemetrySettings
from trader.telemetry.feed_metrics import FeedCounters
from trader.telemetry.metrics import Metrics
from trader.telemetry.sink_metrics import SinkCounters
from trader.telemetry.stream import EventStream

if TYPE_CHECKING:
    from risk.snapshot import RiskSnapshot

__all__ = ["Watchers"]

_RISK_EVERY_S = 1.0


class Watchers:
    """Tells whoever the settings name of what a run does.

    Raises
    ------
    OperationError
        If `metrics_port` is taken.
    """

    def __init__(self, run_id: str, settings: TelemetrySettings) -> None:
        self._run_id = run_id
        self._stream = (
            None
            if settings.redis_url is None
            else EventStream(settings.redis_url, run_id, maxlen=settings.stream_maxlen)
        )
        self._risk_shown = -_RISK_EVERY_S
        self._metrics = None if settings.metrics_port is None else Metrics(run_id)
        if self._metrics is not None and settings.metrics_port is not None:
            try:
                start_http_server(settings.metrics_port, addr="127.0.0.1", registry=self._metrics.registry)
            except OSError as error:
                raise OperationError(f"telemetry.metrics_port={settings.metrics_port}: {error.strerror}") from error

    def on_data(self, n_ticks: int, n_bars: int, n_late: int) -> None:
        """Count what a shard delivered."""
        if self._metrics is not None:
            self._metrics.add_ticks(n_ticks)
            self._metrics.add_bars(n_bars)
            self._metrics.add_drops("late", n_late)

    def on_counters(self, counters: FeedCounters | SinkCounters) -> None:
        """Show the totals of a live feed's source, or of a sink."""
        if self._metrics is not None:
            self._metrics.on_counters(counters)

    def on_decisions(self, decisions: DecisionBlock, latency_ns: int | None) -> None:
        """Count and publish decisions, each of the given latency."""
        if self._metrics is None and self._stream is None:
            return
        for decision in decisions:
            if self._metrics is not None:
                self._metrics.on_decision(decision, latency_ns)
            if self._stream is not None:
                trace_id = trace_id_of(self._run_id, decision.seq)
                self._stream.publish_decision(decision, trace_id=trace_id, latency_ns=latency_ns)

    def on_risk(self, measure: Callable[[], tuple[RiskSnapshot, Mapping[str, float] | None]]) -> None:
        """Show the risk of the bar that has just been decided on, at most once a second: it takes milliseconds."""
        now = time.monotonic()
        if self._metrics is None or now - self._risk_shown < _RISK_EVERY_S:
            return
        self._risk_shown = now
        snapshot, greeks = measure()
        exposure = snapshot.exposure.to_dict()
        exposure.pop("n_assets")
        figures = {estimate.method: (estimate.var, estimate.es) for estimate in snapshot.estimates}
        self._metrics.set_risk(figures, exposure, snapshot.drawdown, greeks or {})

    def on_event(self, event: Event) -> None:
        """Count an event that is no single decision's."""
        if self._metrics is not None:
            self._metrics.on_event(event)

    def on_standing(self, standing: Standing) -> None:
        """Show what ails the models and the store."""
        if self._metrics is not None:
            self._metrics.set_standing(standing.unpredicted, standing.waiting)

    def close(self) -> None:
        """Send what is left; nothing is published afterwards."""
        if self._stream is not None:
            self._stream.close()
