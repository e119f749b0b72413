"""Ticks and bars in a Kafka topic; needs the extra `kafka`.

A message holds one batch: its value is an Arrow IPC stream (`packing.py`), its key the source, so that the batches of
a source keep their order, and its headers are `kind`, `source`, `number` and `rows`.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from trader.core.errors import DataError, ServiceUnavailableError
from trader.core.extras import optional
from trader.core.market import Universe
from trader.data.content import kind_of
from trader.data.sinks.packing import Packed, pack, unpack
from trader.data.sinks.queued import Item, Outcome, Overflow, QueuedSink, SinkAwayError

__all__ = ["KafkaReader", "KafkaSink"]

_POLL_S = 0.05
_ANSWER_S = 2.0
_HELD_KBYTES = 65_536


class KafkaSink(QueuedSink):
    """Writes to a Kafka topic with an idempotent producer.

    The client's own retries are not doubled by the broker, and it never gives a message up by itself, so that nothing
    of unknown outcome is sent by us again. Written are those whose delivery the brokers in sync have acknowledged.
    What another process with the same source sends again is not recognised by the broker, only by `KafkaReader`.

    Parameters
    ----------
    servers : str
        `host:port`, comma-separated.
    topic : str
    universe : Universe
    source : str
        Names this writer.
    options : mapping, optional
        More settings of librdkafka, for security say.
    max_rows : int, default=1_000_000
    overflow : {"drop_oldest", "refuse", "wait"}, default="drop_oldest"

    Raises
    ------
    OperationError
        If the library is not installed.
    """

    def __init__(
        self,
        servers: str,
        topic: str,
        universe: Universe,
        source: str,
        *,
        options: Mapping[str, Any] | None = None,
        max_rows: int = 1_000_000,
        overflow: Overflow = "drop_oldest",
    ) -> None:
        super().__init__(f"kafka:{topic}", max_rows=max_rows, overflow=overflow)
        self._kafka = optional("confluent_kafka", "kafka")
        self._topic = topic
        self._universe = universe
        self._source = source
        self._why = ""
        self._outcomes: dict[int, Outcome | None] = {}
        self._newest = -1
        self._producer = self._kafka.Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "message.max.bytes": 8_000_000,
                "queue.buffering.max.kbytes": _HELD_KBYTES,
                "error_cb": self._on_error,
                "logger": _quiet_logger(),
                **(options or {}),
            }
        )

    def check(self) -> None:
        """Ask whether a broker answers.

        Raises
        ------
        ServiceUnavailableError
            If none does.
        """
        try:
            self._producer.list_topics(timeout=_ANSWER_S)
        except self._kafka.KafkaException as error:
            raise ServiceUnavailableError(f"Kafka does not answer: {self._why or error.args[0].str()}") from None

    def _on_error(self, error: Any) -> None:
        self._why = error.str()

    def _send(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Produce what was not yet, and wait a while for the delivery reports of all."""
        for item in items:
            self._produce(item)
        deadline = min(time.monotonic() + _ANSWER_S, self._deadline)
        while any(self._outcomes[id(item.batch)] is None for item in items):
            self._producer.poll(_POLL_S)
            if time.monotonic() > deadline:
                raise SinkAwayError(self._why or f"no delivery report for {_ANSWER_S:g} s")
        return [self._outcomes.pop(id(item.batch)) or "failed" for item in items]

    def _produce(self, item: Item) -> None:
        """Hand a batch to the client, unless it has it already."""
        key = id(item.batch)
        if key in self._outcomes:
            return
        if item.number <= self._newest:
            self._outcomes[key] = "repeated"
            return
        headers = {
            "kind": kind_of(item.batch),
            "source": self._source,
            "number": str(item.number),
            "rows": str(len(item.batch)),
        }

        def report(error: Any, _message: Any) -> None:
            self._outcomes[key] = "written" if error is None else "failed"
            self._why = "" if error is None else error.str()

        content = pack(item.batch, self._universe)
        self._outcomes[key] = None
        try:
            self._producer.produce(self._topic, content, key=self._source, headers=headers, on_delivery=report)
        except BufferError as error:
            del self._outcomes[key]
            raise SinkAwayError(f"the client's queue is full: {error}") from error
        except self._kafka.KafkaException as error:
            report(error.args[0], None)
        self._newest = item.number

    def _end(self) -> None:
        # All but what was given up has been answered; without this the client would go on with it.
        self._producer.purge()
        self._producer.flush(_POLL_S)


class KafkaReader:
    """Reads a topic as a member of a group, from where the group has committed.

    Batches are given at least once; those that a source sent twice are left out while this reader lives, and counted.

    Parameters
    ----------
    servers, topic, group : str
        A new group begins with the oldest message kept.
    options : mapping, optional
        More settings of librdkafka.
    """

    def __init__(self, servers: str, topic: str, group: str, *, options: Mapping[str, Any] | None = None) -> None:
        self._kafka = optional("confluent_kafka", "kafka")
        self._newest: collections.defaultdict[str, int] = collections.defaultdict(lambda: -1)
        self.repeated = 0
        """Batches left out because they had come before."""
        self.unreadable = 0
        """Messages that hold no batch; they are left out."""
        self._consumer = self._kafka.Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "logger": _quiet_logger(),
                **(options or {}),
            }
        )
        self._consumer.subscribe([topic])

    def read(self, count: int = 16, block_s: float = 0.5) -> list[Packed]:
        """Return at most `count` batches, oldest first; none if nothing came for `block_s`.

        Raises
        ------
        ServiceUnavailableError
            If the client says that it cannot go on.
        """
        found = []
        for message in self._consumer.consume(count, block_s):
            if (error := message.error()) is not None:
                if error.retriable() or error.code() == self._kafka.KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise ServiceUnavailableError(f"Kafka does not answer: {error.str()}")
            packed = self._unpacked(message)
            if packed is not None:
                found.append(packed)
        return found

    def ack(self, entries: Iterable[Packed]) -> None:
        """Say that these, the last that were read, were processed: the group goes on behind all that was read.

        Raises
        ------
        ServiceUnavailableError
            If no broker answers; it may be given again.
        """
        if not list(entries):
            return
        try:
            self._consumer.commit(asynchronous=False)
        except self._kafka.KafkaException as error:
            # Nothing to commit is no trouble.
            if error.args[0].code() != self._kafka.KafkaError._NO_OFFSET:
                raise ServiceUnavailableError(f"Kafka does not answer: {error.args[0].str()}") from None

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _unpacked(self, message: Any) -> Packed | None:
        headers = {name: value.decode() for name, value in message.headers() or ()}
        try:
            batch, universe = unpack(headers["kind"], message.value())
            source, number = headers["source"], int(headers["number"])
        except (DataError, KeyError, TypeError, ValueError):
            self.unreadable += 1
            return None
        if number <= self._newest[source]:
            self.repeated += 1
            return None
        self._newest[source] = number
        return Packed(f"{message.partition()}:{message.offset()}", source, number, universe, batch)


def _quiet_logger() -> Any:
    """Return a logger for librdkafka's lines, which it would otherwise write to stderr."""
    import logging

    return logging.getLogger("trader.kafka")
