"""Counters of sinks as Prometheus reads them."""

from __future__ import annotations

import dataclasses
import pickle

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from trader.runtime.watchers import Watchers
from trader.settings import TelemetrySettings
from trader.telemetry.metrics import Metrics
from trader.telemetry.sink_metrics import SinkCounters

COUNTERS = SinkCounters(
    sink="redis:gpt",
    data="ticks",
    shard=0,
    written=100,
    repeated=7,
    dropped={"overflow": 5, "unsent": 2},
    waiting=30,
    retries=4,
    outages=1,
    is_away=True,
)


def _samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Values by name, sink, data, shard and, of drops, reason."""
    return {
        (
            sample.name.removeprefix("trader_sink_"),
            *(sample.labels[label] for label in ("sink", "data", "shard", "reason") if label in sample.labels),
        ): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name.startswith("trader_sink_")
    }


def test_every_figure_is_shown() -> None:
    """By sink, what it takes, and shard; drops by reason too."""
    metrics = Metrics("r")
    assert _samples(metrics) == {}
    metrics.on_counters(pickle.loads(pickle.dumps(COUNTERS)))
    where = ("redis:gpt", "ticks", "0")
    assert _samples(metrics) == {
        ("written_rows_total", *where): 100,
        ("repeated_rows_total", *where): 7,
        ("dropped_rows_total", *where, "overflow"): 5,
        ("dropped_rows_total", *where, "unsent"): 2,
        **{("dropped_rows_total", *where, reason): 0 for reason in ("refused", "closed", "unknown", "failed")},
        ("retries_total", *where): 4,
        ("outages_total", *where): 1,
        ("waiting_rows", *where): 30,
        ("away", *where): 1,
    }


def test_the_newest_take_the_place_of_the_last() -> None:
    """Of the same sink, data and shard; a folder that takes ticks and bars of two shards is four series."""
    metrics = Metrics("r")
    for written in (10, 20):
        for data in ("ticks", "bars"):
            for shard in (0, 1):
                metrics.on_counters(dataclasses.replace(COUNTERS, data=data, shard=shard, written=written + shard))
    metrics.on_counters(dataclasses.replace(COUNTERS, written=3, is_away=False))
    found = _samples(metrics)
    written = {key[2:]: value for key, value in found.items() if key[0] == "written_rows_total"}
    assert written == {("ticks", "0"): 3, ("ticks", "1"): 21, ("bars", "0"): 20, ("bars", "1"): 21}
    assert found["away", "redis:gpt", "ticks", "0"] == 0


def test_without_a_port_there_is_nothing_to_show() -> None:
    """And no error."""
    Watchers("r", TelemetrySettings()).on_counters(COUNTERS)
    assert b"trader_sink_away{" not in generate_latest(Metrics("r").registry)
