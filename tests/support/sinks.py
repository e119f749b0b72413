"""Batches to put into sinks, and a Kafka cluster of librdkafka's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from trader.core.market import BarBatch, QuoteBatch, TradeBatch, Universe
from trader.core.protocols import MarketBatch
from trader.data.content import event_times
from trader.data.sinks import Packed

SYMBOLS = Universe(("AAPL", "BTCUSDT", "Ünïcode", "IBM"))
DAY_NS = 86_400_000_000_000


def trades(n_rows: int, first: int = 0, symbols: tuple[int, ...] = (0, 1, 2, 3)) -> TradeBatch:
    """Trades of which each is different; some prices are NaN-free extremes."""
    row = np.arange(first, first + n_rows)
    return TradeBatch(
        ts_event_ns=19_900 * DAY_NS + row * 1_000,
        ts_recv_ns=19_900 * DAY_NS + row * 1_000 + 7,
        symbol_id=np.array(symbols, np.int32)[row % len(symbols)],
        price=100 + row / 3,
        size=np.where(row % 5 == 0, 1e-12, row * 1e9),
        side=(row % 3 - 1).astype(np.int8),
    )


def quotes(n_rows: int, first: int = 0) -> QuoteBatch:
    """Quotes, without an ask at times."""
    row = np.arange(first, first + n_rows)
    return QuoteBatch(
        ts_event_ns=19_900 * DAY_NS + row * 1_000,
        ts_recv_ns=19_900 * DAY_NS + row * 1_000 + 7,
        symbol_id=(row % 2).astype(np.int32),
        bid=100 + row / 3,
        ask=np.where(row % 4 == 0, np.nan, 101 + row / 3),
        bid_size=row + 1.0,
        ask_size=row + 2.0,
    )


def bars(n_rows: int, first: int = 0) -> BarBatch:
    """Bars over two days."""
    row = np.arange(first, first + n_rows)
    close = 100 + row / 7
    return BarBatch(
        ts_open_ns=19_900 * DAY_NS + row * 10**11,
        ts_ns=19_900 * DAY_NS + (row + 1) * 10**11,
        symbol_id=(row % 3).astype(np.int32),
        open=close - 1,
        high=close + 1,
        low=close - 2,
        close=close,
        volume=row * 10.0,
        vwap=np.full(n_rows, np.nan),
        buy_volume=row * 5.0,
        spread=np.full(n_rows, 0.01),
        n_trades=row,
    )


MAKERS = {"trades": trades, "quotes": quotes, "bars": bars}


def whole(entries: list[Packed]) -> MarketBatch:
    """The rows of all entries in their order, with the ids of `SYMBOLS`."""
    return type(entries[0].batch).concat(
        [  # type: ignore[arg-type]
            _renamed(entry.batch, entry.universe) for entry in entries
        ]
    )


def in_time(batch: MarketBatch) -> MarketBatch:
    """The rows by time."""
    return batch.take(np.argsort(event_times(batch), kind="stable"))


def _renamed(batch: MarketBatch, universe: Universe) -> MarketBatch:
    ids = np.array([SYMBOLS.id_of(symbol) for symbol in universe.symbols], np.int32)
    return type(batch)(**(batch.columns() | {"symbol_id": ids[batch.symbol_id]}))


@contextlib.contextmanager
def mock_kafka() -> Iterator[str]:
    """Address of a cluster that lives in a client of librdkafka; it speaks the protocol over real sockets."""
    import confluent_kafka

    keeper = confluent_kafka.Producer({"bootstrap.servers": "ignored", "test.mock.num.brokers": 1})
    brokers = keeper.list_topics(timeout=60).brokers
    broker = next(iter(brokers.values()))
    yield f"{broker.host}:{broker.port}"
    keeper.flush(1)
