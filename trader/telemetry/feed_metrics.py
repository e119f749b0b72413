"""How live feeds fare, counted by column where the ticks are and shown in Prometheus' form where the run is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["BOOK_COUNTS", "FEED_BUCKETS_S", "FEED_COUNTS", "FeedCounters", "FeedMetrics", "FeedTally", "Stage"]

FEED_BUCKETS_S: tuple[float, ...] = (
    *(float(f"{factor}e{decade}") for decade in range(-5, 1) for factor in (1, 2.5, 5)),
    10.0,
)
"""Upper bounds in seconds, inclusive: 10 microseconds to 10 s, three a decade."""

FEED_COUNTS: Mapping[str, str] = {
    "messages": "Messages of a feed.",
    "bytes": "Their size.",
    "gap_rows": "Rows that were sent and never came.",
    "duplicates": "Rows that came again and were left out.",
    "late": "Rows that came after a later one, and were taken.",
    "sale_condition": "Trades left out because of their sale conditions.",
    "dropped": "Rows let go of because the consumer was too slow.",
}
"""What is counted by symbol, and its description."""

BOOK_COUNTS: Mapping[str, str] = {
    "book_gaps": "Times that an order book was thrown away because a diff was missing or its sides crossed.",
    "book_snapshots": "Times that an order book began with a snapshot.",
}
"""The same of sources that keep order books."""

Stage = Literal["exchange_to_receive", "receive_to_passed", "receive_to_features"]
"""From the exchange's stamp to our receipt; from there until it is passed on, or until its features are there."""

IntArray = NDArray[np.int64]
_N_BUCKETS = len(FEED_BUCKETS_S) + 1
_BOUNDS_NS = np.array([round(1e9 * bound) for bound in FEED_BUCKETS_S], np.int64)
_OTHERS = "_others"


@dataclasses.dataclass(frozen=True, slots=True)
class FeedCounters:
    """Totals of one source since its actor began: what it hands over, seldom, instead of every tick.

    Parameters
    ----------
    source : str
    symbols : tuple of str
    counts : mapping of str to ndarray of shape (n_symbols,)
        By the names of `FEED_COUNTS` and, of order books, `BOOK_COUNTS`; empty for a part that only measures latencies.
    reconnects : int
    clock_offset_s : float
        Their clock less ours; NaN while unknown.
    latency : mapping of str to ndarray of shape (n_symbols, n_buckets)
        By stage: how many fell into each of `FEED_BUCKETS_S`, and above.
    latency_sum_ns : mapping of str to ndarray of shape (n_symbols,)
    """

    source: str
    symbols: tuple[str, ...]
    counts: Mapping[str, IntArray]
    reconnects: int
    clock_offset_s: float
    latency: Mapping[str, IntArray]
    latency_sum_ns: Mapping[str, IntArray]


class FeedTally:
    """Counts for one source, by arrays.

    Examples
    --------
    >>> tally = FeedTally("binance", ("BTCUSDT", "ETHUSDT"))
    >>> tally.add("messages", np.array([0, 1, 0]))
    >>> tally.add("gap_rows", np.array([1]), np.array([12]))
    >>> tally.observe("exchange_to_receive", np.array([0, 0]), np.array([2_000_000, 3_000_000]))
    >>> counters = tally.counters()
    >>> counters.counts["messages"], counters.counts["gap_rows"], counters.latency["exchange_to_receive"].sum()
    (array([2, 1]), array([ 0, 12]), np.int64(2))
    """

    def __init__(self, source: str, symbols: tuple[str, ...]) -> None:
        self._source = source
        self._symbols = symbols
        n = len(symbols)
        self._counts = {name: np.zeros(n, np.int64) for name in FEED_COUNTS}
        self._latency = {stage: np.zeros((n, _N_BUCKETS), np.int64) for stage in get_args(Stage)}
        self._sums = {stage: np.zeros(n, np.int64) for stage in get_args(Stage)}
        self.reconnects = 0
        """Connections made after the first."""
        self.clock_offset_s = float("nan")
        """Their clock less ours."""

    def add(self, name: str, symbol_id: NDArray[np.integer], amount: NDArray[np.integer] | int = 1) -> None:
        """Count one of `FEED_COUNTS` for each of the symbols, shape (n,); a symbol may occur several times."""
        amounts = np.broadcast_to(np.asarray(amount, np.int64), np.shape(symbol_id))
        np.add.at(self._counts[name], symbol_id, amounts)

    def observe(self, stage: Stage, symbol_id: NDArray[np.integer], ns: NDArray[np.integer]) -> None:
        """Count latencies in nanoseconds, shape (n,); negative ones, of clocks that differ, count as zero."""
        known = np.maximum(np.asarray(ns, np.int64), 0)
        bucket = np.searchsorted(_BOUNDS_NS, known)
        cell = np.asarray(symbol_id, np.int64) * _N_BUCKETS + bucket
        table = self._latency[stage]
        table += np.bincount(cell, minlength=table.size).reshape(table.shape)
        np.add.at(self._sums[stage], symbol_id, known)

    def counters(self) -> FeedCounters:
        """Return the totals, as copies."""
        return FeedCounters(
            source=self._source,
            symbols=self._symbols,
            counts={name: count.copy() for name, count in self._counts.items()},
            reconnects=self.reconnects,
            clock_offset_s=self.clock_offset_s,
            latency={stage: table.copy() for stage, table in self._latency.items()},
            latency_sum_ns={stage: total.copy() for stage, total in self._sums.items()},
        )


class FeedMetrics(Collector):
    """Shows the newest counters of every source.

    ===================================== ========= =======================
    name                                  type      labels
    ===================================== ========= =======================
    trader_feed_messages_total            counter   source, symbol
    trader_feed_bytes_total               counter   source, symbol
    trader_feed_gap_rows_total            counter   source, symbol
    trader_feed_duplicates_total          counter   source, symbol
    trader_feed_late_total                counter   source, symbol
    trader_feed_sale_condition_total      counter   source, symbol
    trader_feed_dropped_total             counter   source, symbol
    trader_feed_book_gaps_total           counter   source, symbol
    trader_feed_book_snapshots_total      counter   source, symbol
    trader_feed_reconnects_total          counter   source
    trader_feed_clock_offset_seconds      gauge     source
    trader_feed_latency_seconds           histogram source, symbol, stage
    ===================================== ========= =======================

    Counters of an actor that was restarted begin again at 0, as Prometheus expects.

    Parameters
    ----------
    registry : CollectorRegistry
    max_symbols : int, default=100
        Symbols of a source that are shown by name, those with the most messages; the others together are `_others`.
    """

    def __init__(self, registry: CollectorRegistry, max_symbols: int = 100) -> None:
        self._newest: dict[str, FeedCounters] = {}
        self._max_symbols = max_symbols
        registry.register(self)

    def update(self, counters: FeedCounters) -> None:
        """Show these from now on in place of the source's last."""
        self._newest = self._newest | {counters.source: counters}

    def collect(self) -> Iterator[Metric]:
        """Yield the families, for the registry."""
        newest = [(counters, self._rows(counters)) for counters in self._newest.values()]
        for name, text in (*FEED_COUNTS.items(), *BOOK_COUNTS.items()):
            family = CounterMetricFamily(f"trader_feed_{name}", text, labels=("source", "symbol"))
            for counters, rows in newest:
                if name in counters.counts:
                    for symbol, ids in rows.items():
                        family.add_metric((counters.source, symbol), float(counters.counts[name][ids].sum()))
            yield family
        reconnects = CounterMetricFamily("trader_feed_reconnects", "Connections made again.", labels=("source",))
        offset = GaugeMetricFamily("trader_feed_clock_offset_seconds", "Their clock less ours.", labels=("source",))
        latency = HistogramMetricFamily(
            "trader_feed_latency_seconds", "Of ticks, by stage.", labels=("source", "symbol", "stage")
        )
        for counters, rows in newest:
            if counters.counts:
                reconnects.add_metric((counters.source,), counters.reconnects)
                offset.add_metric((counters.source,), counters.clock_offset_s)
            for stage, table in counters.latency.items():
                for symbol, ids in rows.items():
                    if (counts := table[ids].sum(axis=0)).any():
                        total_s = float(counters.latency_sum_ns[stage][ids].sum()) / 1e9
                        latency.add_metric((counters.source, symbol, stage), _buckets(counts), total_s)
        yield from (reconnects, offset, latency)

    def _rows(self, counters: FeedCounters) -> dict[str, NDArray[np.intp]]:
        """Return which rows of the arrays each label stands for."""
        busy = counters.counts.get("messages", sum(table.sum(axis=1) for table in counters.latency.values()))
        order = np.argsort(-np.asarray(busy), kind="stable")
        named, others = order[: self._max_symbols], order[self._max_symbols :]
        rows = {counters.symbols[n]: np.array([n]) for n in np.sort(named)}
        return rows | ({_OTHERS: others} if others.size else {})


def _buckets(counts: IntArray) -> list[tuple[str, float]]:
    """Return Prometheus' cumulative buckets."""
    bounds = [*(str(bound) for bound in FEED_BUCKETS_S), "+Inf"]
    return list(zip(bounds, np.cumsum(counts).astype(float).tolist(), strict=True))
