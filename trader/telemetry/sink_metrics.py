"""How the sinks of a run fare, in Prometheus' form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["SinkCounters", "SinkMetrics"]

_LABELS = ("sink", "data", "shard")
_TOTALS: Mapping[str, tuple[str, str]] = {
    "written": ("written_rows", "Rows that the other side has acknowledged."),
    "repeated": ("repeated_rows", "Rows left out because the other side had them already."),
    "retries": ("retries", "Times that rows were not acknowledged, and are sent again."),
    "outages": ("outages", "Times that a sink went away."),
}

_REASONS = ("overflow", "refused", "closed", "unsent", "unknown", "failed")
"""Shown from the beginning: a counter that appears with its first rows has not risen, as Prometheus sees it."""


@dataclasses.dataclass(frozen=True, slots=True)
class SinkCounters:
    """Totals of one sink of a shard, since the shard or its feed began.

    Parameters
    ----------
    sink : str
    data : {"ticks", "bars"}
        What it takes.
    shard : int
    written, repeated : int
        Rows.
    dropped : mapping of str to int
        Rows by reason, as in `trader.data.sinks.SinkStatus`.
    waiting : int
        Rows in memory.
    retries, outages : int
    is_away : bool
        Whether nothing can be written now.
    """

    sink: str
    data: str
    shard: int
    written: int
    repeated: int
    dropped: Mapping[str, int]
    waiting: int
    retries: int
    outages: int
    is_away: bool


class SinkMetrics(Collector):
    """Shows the newest counters of every sink.

    ================================= ======= ===========================
    name                              type    labels
    ================================= ======= ===========================
    trader_sink_written_rows_total    counter sink, data, shard
    trader_sink_repeated_rows_total   counter sink, data, shard
    trader_sink_dropped_rows_total    counter sink, data, shard, reason
    trader_sink_retries_total         counter sink, data, shard
    trader_sink_outages_total         counter sink, data, shard
    trader_sink_waiting_rows          gauge   sink, data, shard
    trader_sink_away                  gauge   sink, data, shard
    ================================= ======= ===========================

    Each shard writes for itself, so its counters begin again at 0 without those of the others, as Prometheus expects.

    Parameters
    ----------
    registry : CollectorRegistry

    Examples
    --------
    >>> registry = CollectorRegistry()
    >>> SinkMetrics(registry).update(SinkCounters("redis:t", "ticks", 0, 7, 0, {"overflow": 2}, 1, 3, 1, True))
    >>> labels = {"sink": "redis:t", "data": "ticks", "shard": "0"}
    >>> registry.get_sample_value("trader_sink_dropped_rows_total", labels | {"reason": "overflow"})
    2
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._newest: dict[tuple[str, str, str], SinkCounters] = {}
        registry.register(self)

    def update(self, counters: SinkCounters) -> None:
        """Show these from now on in place of the sink's last."""
        self._newest = self._newest | {(counters.sink, counters.data, str(counters.shard)): counters}

    def collect(self) -> Iterator[Metric]:
        """Yield the families, for the registry."""
        newest = self._newest
        for field, (name, text) in _TOTALS.items():
            total = CounterMetricFamily(f"trader_sink_{name}", text, labels=_LABELS)
            for labels, counters in newest.items():
                total.add_metric(labels, getattr(counters, field))
            yield total
        dropped = CounterMetricFamily("trader_sink_dropped_rows", "Rows let go of.", labels=(*_LABELS, "reason"))
        waiting = GaugeMetricFamily("trader_sink_waiting_rows", "Rows in memory.", labels=_LABELS)
        away = GaugeMetricFamily("trader_sink_away", "1 while nothing can be written.", labels=_LABELS)
        for labels, counters in newest.items():
            for reason, rows in (dict.fromkeys(_REASONS, 0) | dict(counters.dropped)).items():
                dropped.add_metric((*labels, reason), rows)
            waiting.add_metric(labels, counters.waiting)
            away.add_metric(labels, float(counters.is_away))
        yield from (dropped, waiting, away)
