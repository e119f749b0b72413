"""The Kafka sink and reader against librdkafka's own mock cluster, which speaks the protocol over real sockets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.sinks import SYMBOLS, mock_kafka, trades, whole
from trader.core import extras
from trader.core.errors import OperationError, ServiceUnavailableError
from trader.data.sinks import Packed
from trader.data.sinks.kafka import KafkaReader, KafkaSink

WAIT_S = 120.0
# The mock cluster waits so long for a member that has left; less than three seconds and no group forms.
SOON = {"session.timeout.ms": 4000, "heartbeat.interval.ms": 500}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with mock_kafka() as found:
        yield found


def _read(reader: KafkaReader, n_batches: int) -> list[Packed]:
    entries: list[Packed] = []
    for _ in range(300):
        entries += reader.read(n_batches - len(entries), block_s=0.2)
        if len(entries) >= n_batches:
            return entries
    raise AssertionError(f"{len(entries)} of {n_batches} came")


def test_a_reader_goes_on_from_what_was_committed(address: str) -> None:
    """What was read but not committed is given to the next reader; what a second writer of one name repeats is not."""
    topic, group = uuid.uuid4().hex, uuid.uuid4().hex
    for first, last in ((0, 20), (15, 30)):
        sink = KafkaSink(address, topic, SYMBOLS, "w")
        for number in range(first, last):
            sink.put(trades(10, 10 * number), number)
        sink.close(WAIT_S)
        assert (sink.status().written, sink.status().dropped_rows) == (10 * (last - first), 0)
    with KafkaReader(address, topic, group, options=SOON) as reader:
        begin = _read(reader, 10)
        reader.ack(begin)
        _read(reader, 5)
    with KafkaReader(address, topic, group, options=SOON) as reader:
        rest = _read(reader, 20)
        assert reader.repeated == 5
    assert [entry.number for entry in rest] == list(range(10, 30))
    assert whole(begin + rest) == trades(300)


def test_a_cluster_that_is_away_is_told() -> None:
    """Nobody there: checking says so, rows wait within their bound, and are counted at the end."""
    sink = KafkaSink("127.0.0.1:1", "t", SYMBOLS, "w", max_rows=25)
    with pytest.raises(ServiceUnavailableError, match="Kafka does not answer"):
        sink.check()
    for number in range(10):
        sink.put(trades(10, 10 * number), number)
    assert sink.status().waiting <= 25
    sink.close(0.3)
    status = sink.status()
    assert (status.written, status.waiting, status.dropped_rows) == (0, 0, 100)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is in the message."""

    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(OperationError, match=r"confluent_kafka is not installed; pip install 'gpt-trader\[kafka\]'"):
        KafkaSink("127.0.0.1:1", "t", SYMBOLS, "w")
