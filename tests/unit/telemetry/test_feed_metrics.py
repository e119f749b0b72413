"""Columnar feed metrics against prometheus_client counting one tick at a time."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from trader.runtime.watchers import Watchers
from trader.settings import TelemetrySettings
from trader.telemetry.feed_metrics import BOOK_COUNTS, FEED_BUCKETS_S, FEED_COUNTS, FeedMetrics, FeedTally
from trader.telemetry.metrics import Metrics

SYMBOLS = ("A", "B", "C")


def _samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_they_agree_with_observing_one_by_one() -> None:
    """Counts, buckets (bounds inclusive) and sums are those of the library's own counters and histograms."""
    rng = np.random.default_rng(5)
    tally, registry, theirs = FeedTally("x", SYMBOLS), CollectorRegistry(), CollectorRegistry()
    messages = Counter("trader_feed_messages", "", ("source", "symbol"), registry=theirs)
    latency = Histogram(
        "trader_feed_latency_seconds", "", ("source", "symbol", "stage"), buckets=FEED_BUCKETS_S, registry=theirs
    )
    edges = np.array([round(1e9 * bound) for bound in FEED_BUCKETS_S])
    for stage in ("exchange_to_receive", "receive_to_passed", "receive_to_features"):
        for _ in range(3):
            ids = rng.integers(0, 3, 300)
            ns = np.concatenate([np.exp(rng.normal(13, 4, 300 - edges.size)).astype(np.int64), edges])
            tally.add("messages", ids)
            tally.observe(stage, ids, ns)
            for symbol, value in zip(ids, ns, strict=True):
                messages.labels("x", SYMBOLS[symbol]).inc()
                latency.labels("x", SYMBOLS[symbol], stage).observe(value / 1e9)
    FeedMetrics(registry).update(pickle.loads(pickle.dumps(tally.counters())))
    ours, expected = _samples(generate_latest(registry)), _samples(generate_latest(theirs))
    assert len(expected) > 9 * len(FEED_BUCKETS_S)
    assert {key: ours.get(key) for key in expected} == pytest.approx(expected, rel=1e-12)


def test_amounts_reconnects_and_clock() -> None:
    """Amounts add up by symbol; a negative latency counts as zero; the newest counters of a source replace the last."""
    tally, registry = FeedTally("x", SYMBOLS), CollectorRegistry()
    metrics = FeedMetrics(registry)
    for name in FEED_COUNTS:
        tally.add(name, np.array([0, 2, 2]), np.array([5, 1, 1]))
    tally.observe("exchange_to_receive", np.array([1]), np.array([-7]))
    metrics.update(tally.counters())
    tally.reconnects, tally.clock_offset_s = 4, -0.25
    metrics.update(tally.counters())
    found = _samples(generate_latest(registry))
    for name in FEED_COUNTS:
        values = [found[f"trader_feed_{name}_total", (("source", "x"), ("symbol", symbol))] for symbol in SYMBOLS]
        assert values == [5, 0, 2]
    assert found["trader_feed_reconnects_total", (("source", "x"),)] == 4
    assert found["trader_feed_clock_offset_seconds", (("source", "x"),)] == -0.25
    labels = (("source", "x"), ("stage", "exchange_to_receive"), ("symbol", "B"))
    assert (found["trader_feed_latency_seconds_sum", labels], found["trader_feed_latency_seconds_count", labels]) == (
        0,
        1,
    )


def test_order_books_are_shown_where_there_are_some() -> None:
    """Gaps and snapshots by symbol; a source without books has no such series."""
    registry = CollectorRegistry()
    metrics = FeedMetrics(registry)
    plain = FeedTally("x", SYMBOLS).counters()
    books = {name: np.array([1, 0, 3]) + place for place, name in enumerate(BOOK_COUNTS)}
    metrics.update(plain)
    metrics.update(dataclasses.replace(plain, source="y", counts=plain.counts | books))
    found = _samples(generate_latest(registry))
    for place, name in enumerate(BOOK_COUNTS):
        series = {labels: value for (metric, labels), value in found.items() if metric == f"trader_feed_{name}_total"}
        assert series == {
            (("source", "y"), ("symbol", symbol)): value + place
            for symbol, value in zip(SYMBOLS, (1, 0, 3), strict=True)
        }


def test_many_symbols_stay_few_series() -> None:
    """Beyond the limit the quiet ones are shown together, and nothing is left out of the sum."""
    n, registry = 500, CollectorRegistry()
    tally = FeedTally("x", tuple(f"S{number}" for number in range(n)))
    tally.add("messages", np.arange(n), np.arange(n))
    tally.observe("receive_to_passed", np.arange(n), np.full(n, 1000))
    FeedMetrics(registry, max_symbols=3).update(tally.counters())
    found = _samples(generate_latest(registry))
    messages = {
        dict(labels)["symbol"]: v for (name, labels), v in found.items() if name == "trader_feed_messages_total"
    }
    assert messages == {"S497": 497, "S498": 498, "S499": 499, "_others": sum(range(497))}
    counts = [value for (name, _), value in found.items() if name == "trader_feed_latency_seconds_count"]
    assert sum(counts) == n


def test_a_run_shows_them() -> None:
    """They are part of the run's own metrics; without a port there is nothing to show, and no error."""
    tally = FeedTally("binance", SYMBOLS)
    tally.add("messages", np.array([1]))
    metrics = Metrics("r")
    metrics.on_counters(tally.counters())
    assert b'trader_feed_messages_total{source="binance",symbol="B"} 1.0' in metrics.render()
    Watchers("r", TelemetrySettings()).on_counters(tally.counters())
