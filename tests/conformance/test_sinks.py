"""What every sink promises, wherever it writes: real Redis, librdkafka's own Kafka cluster, Parquet files."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.redis_server import running_redis
from tests.support.sinks import MAKERS, SYMBOLS, bars, in_time, mock_kafka, trades, whole
from trader.core.errors import DataError
from trader.core.market import Universe
from trader.core.protocols import MarketBatch
from trader.data.sinks import Packed, QueuedSink, Sink, pack, unpack
from trader.data.sinks.kafka import KafkaSink
from trader.data.sinks.packing import KINDS
from trader.data.sinks.parquet import ParquetSink
from trader.data.sinks.queued import Overflow
from trader.data.sinks.redis_reader import RedisStreamReader
from trader.data.sinks.redis_stream import RedisStreamSink

WAIT_S = 20.0


@dataclasses.dataclass
class Place:
    """Somewhere to write: how to open a sink there, and how to read what came."""

    open: Callable[..., QueuedSink]
    read: Callable[[], MarketBatch | None]
    keeps_order: bool = True


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    with running_redis() as redis, mock_kafka() as kafka:
        yield {"redis": redis.url, "kafka": kafka}


@pytest.fixture(params=["redis", "kafka", "parquet"])
def place(request: pytest.FixtureRequest, servers: dict[str, str], tmp_path: Path) -> Place:
    name = f"s{uuid.uuid4().hex}"
    if request.param == "redis":
        url = servers["redis"]

        def from_redis() -> MarketBatch | None:
            with RedisStreamReader(url, name, "all", "one") as reader:
                entries = []
                while found := reader.read(64, block_s=0.01):
                    entries += found
                    reader.ack(found)
            return whole(entries) if entries else None

        return Place(lambda **kw: RedisStreamSink(url, name, SYMBOLS, "test", **kw), from_redis)
    if request.param == "kafka":
        address = servers["kafka"]

        def from_kafka() -> MarketBatch | None:
            return _whole_topic(address, name)

        return Place(lambda **kw: KafkaSink(address, name, SYMBOLS, "test", **kw), from_kafka)

    def from_files() -> MarketBatch | None:
        parts = []
        for file in sorted(tmp_path.rglob("*.parquet")):
            table = pq.read_table(file, partitioning=None)
            ids = [SYMBOLS.id_of(symbol) for symbol in table.column("symbol").to_pylist()]
            kind = KINDS[file.relative_to(tmp_path).parts[0]]
            columns = {n: table.column(n).to_numpy() for n in kind.DTYPES if n != "symbol_id"}
            parts.append(kind(**columns, symbol_id=np.array(ids, np.int32)))
        return type(parts[0]).concat(parts) if parts else None

    return Place(lambda **kw: ParquetSink(tmp_path, SYMBOLS, file_s=0.2, **kw), from_files, keeps_order=False)


def _whole_topic(address: str, topic: str) -> MarketBatch | None:
    """All of a topic of one source, in order; without a group, whose forming takes the mock cluster seconds."""
    import confluent_kafka as ck

    consumer = ck.Consumer({"bootstrap.servers": address, "group.id": "none", "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([ck.TopicPartition(topic, number, ck.OFFSET_BEGINNING) for number in partitions])
    entries, ended = [], 0
    while ended < len(partitions):
        message = consumer.poll(10.0)
        assert message is not None
        if message.error() is not None:
            ended += message.error().code() == ck.KafkaError._PARTITION_EOF
            continue
        batch, universe = unpack(dict(message.headers())["kind"].decode(), message.value())
        entries.append(Packed("", "", message.offset(), universe, batch))
    consumer.close()
    return whole(entries) if entries else None


def test_it_is_a_sink(place: Place) -> None:
    """It has the methods of the protocol, and begins with nothing."""
    sink = place.open()
    sink.check()
    assert isinstance(sink, Sink)
    status = sink.status()
    assert (status.written, status.repeated, dict(status.dropped), status.waiting, status.trouble) == (0, 0, {}, 0, "")
    sink.close()


@pytest.mark.parametrize("kind", MAKERS)
def test_rows_come_back_bit_for_bit(place: Place, kind: str) -> None:
    """What is put and acknowledged is read again: every column, NaN included, and in the order of put."""
    batches = [MAKERS[kind](n_rows, first) for n_rows, first in ((1, 0), (700, 1), (299, 701))]
    sink = place.open()
    assert all(sink.put(batch) for batch in batches)
    assert sink.flush(WAIT_S)
    assert sink.status().written == 1000
    truth, found = type(batches[0]).concat(batches), place.read()
    assert found is not None
    assert truth == (found if place.keeps_order else in_time(found))
    sink.close()


def test_closing_writes_what_waits(place: Place) -> None:
    """Rows put just before the end are written; those put after it are counted."""
    sink = place.open()
    for first in range(0, 1000, 10):
        sink.put(trades(10, first))
    sink.close(WAIT_S)
    assert sink.put(trades(5)) is False
    sink.close()
    status = sink.status()
    assert (status.written, status.waiting, dict(status.dropped)) == (1000, 0, {"closed": 5})
    found = place.read()
    assert found is not None
    assert in_time(found) == trades(1000)


def test_a_number_is_written_once(place: Place) -> None:
    """Batches with numbers that were written are repeats; numbers may skip, and batches of no rows are nothing."""
    sink = place.open()
    for number in (3, 4, 9, 4, 9, 10):
        sink.put(trades(10, 10 * number), number)
        assert sink.flush(WAIT_S)
    sink.put(trades(0), 11)
    assert sink.flush(WAIT_S)
    status = sink.status()
    assert (status.written, status.repeated, status.dropped_rows) == (40, 20, 0)
    sink.close()
    found = place.read()
    assert found is not None
    assert np.unique(in_time(found).ts_recv_ns).size == len(found) == 40


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    sizes=st.lists(st.integers(0, 60), max_size=25),
    room=st.integers(1, 200),
    policy=st.sampled_from(["drop_oldest", "refuse", "wait"]),
)
def test_every_row_is_accounted_for(place: Place, sizes: list[int], room: int, policy: Overflow) -> None:
    """Whatever the sizes, the room and the policy: put = written + dropped, and memory stays in its bound."""
    sink = place.open(max_rows=room, overflow=policy)
    taken = 0
    for size in sizes:
        taken += size * sink.put(trades(size))
        assert sink.status().waiting <= max(room, 60)
    sink.close(WAIT_S)
    status = sink.status()
    assert status.written + status.repeated + status.dropped_rows == sum(sizes)
    assert status.waiting == 0
    if policy == "wait":
        assert status.dropped_rows == 0
        assert taken == sum(sizes)
    if policy == "refuse":
        assert status.written + status.repeated == taken


@given(n_rows=st.integers(0, 50), kind=st.sampled_from(sorted(MAKERS)), first=st.integers(0, 10**6))
def test_packing_is_reversible(n_rows: int, kind: str, first: int) -> None:
    """Rows come back as they were, and the dictionary holds the symbols that occur."""
    batch = MAKERS[kind](n_rows, first)
    found, universe = unpack(kind, pack(batch, SYMBOLS))
    assert type(found) is type(batch)
    assert set(universe.symbols) == {SYMBOLS.symbols[n] for n in batch.symbol_id}
    ids = np.array([SYMBOLS.id_of(symbol) for symbol in universe.symbols], np.int32)
    assert (
        type(found)(**(found.columns() | {"symbol_id": ids[found.symbol_id] if n_rows else found.symbol_id})) == batch
    )


def test_packed_rows_are_readable_without_us() -> None:
    """pyarrow alone reads an entry: names, types, symbols."""
    table = pa.ipc.open_stream(pack(bars(4), SYMBOLS)).read_all()
    assert table.column("symbol").to_pylist() == ["AAPL", "BTCUSDT", "Ünïcode", "AAPL"]
    assert table.schema.field("ts_ns").type == pa.int64()
    assert table.column("close").to_pylist() == pytest.approx([100 + n / 7 for n in range(4)], abs=0)


@pytest.mark.parametrize(
    ("kind", "content"), [("candles", b""), ("trades", b"nothing"), ("trades", pack(bars(1), Universe(("A",))))]
)
def test_other_content_is_refused(kind: str, content: bytes) -> None:
    """What is no batch of that kind is a DataError."""
    with pytest.raises(DataError):
        unpack(kind, content)
