"""Reading batches from a Redis stream, in a group of consumers that share the work."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Self

from trader.core.errors import DataError, ServiceUnavailableError
from trader.data.sinks.packing import Packed, unpack
from trader.data.sinks.redis_client import TIMEOUT_S, connect, probe

__all__ = ["RedisStreamReader"]


class RedisStreamReader:
    """Reads a stream as a consumer of a group; what is acknowledged is never given again, the rest is.

    `read` gives, in this order: what this consumer was given before and has not acknowledged, as after a crash; what
    others have left unacknowledged for `claim_s`; and what is new. So a batch is processed at least once, and exactly
    once if its effect and its acknowledgement are one, or its effect is kept by `source` and `number`.

    Parameters
    ----------
    url : str
        `redis://host:port/db`, `rediss://…` or `unix:///path`.
    stream : str
    group : str
        Groups read independently of each other; a new one begins with the oldest entry kept.
    consumer : str
        Of two processes with one name, both would be given the same after a crash.
    claim_s : float, default=60
        How long an entry may stay unacknowledged with another consumer until it is taken over.

    Raises
    ------
    SettingsError
        If the URL is of another form, or the key holds no stream.
    ServiceUnavailableError
        If Redis does not answer.
    """

    def __init__(self, url: str, stream: str, group: str, consumer: str, *, claim_s: float = 60.0) -> None:
        import redis

        self._client = connect(url)
        probe(self._client, stream)
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._claim_ms = int(claim_s * 1e3)
        self._own_after: str | None = "0"
        self._claimed_at_s = float("-inf")
        self.gone = 0
        """Entries that were trimmed between delivery and acknowledgement; what they held is lost to the group."""
        self.unreadable = 0
        """Entries that hold no batch; they are acknowledged and left out."""
        try:
            self._client.xgroup_create(stream, group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self, count: int = 16, block_s: float = 0.5) -> list[Packed]:
        """Return at most `count` batches, oldest first; none if nothing came for `block_s`, up to a second.

        Raises
        ------
        ServiceUnavailableError
            If Redis does not answer; call again, and it goes on where it was.
        """
        import redis

        try:
            return self._unpacked(self._next(count, min(block_s, TIMEOUT_S / 2)))
        except (redis.RedisError, OSError) as error:
            # An answer may have been lost on its way: its entries count as delivered, and are asked for again.
            self._own_after = "0"
            raise ServiceUnavailableError(f"Redis does not answer: {error}") from error

    def ack(self, entries: Iterable[Packed]) -> None:
        """Say that these were processed: they are not given to the group again.

        Raises
        ------
        ServiceUnavailableError
            If Redis does not answer; they may be given again.
        """
        import redis

        ids = [entry.id for entry in entries]
        try:
            if ids:
                self._client.xack(self._stream, self._group, *ids)
        except (redis.RedisError, OSError) as error:
            raise ServiceUnavailableError(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        """Leave; what was not acknowledged stays with the consumer's name."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self, count: int, block_s: float) -> list[Any]:
        if self._own_after is not None:
            entries = self._group_read(self._own_after, count, None)
            self._own_after = entries[-1][0] if entries else None
            if entries:
                return entries
        if time.monotonic() - self._claimed_at_s >= self._claim_ms / 1e3:
            answer: Any = self._client.xautoclaim(
                self._stream, self._group, self._consumer, self._claim_ms, "0", count=count
            )
            if answer[1]:
                return list(answer[1])
            self._claimed_at_s = time.monotonic()
        return self._group_read(">", count, max(int(block_s * 1e3), 1))

    def _group_read(self, after: Any, count: int, block_ms: int | None) -> list[Any]:
        answer: Any = self._client.xreadgroup(
            self._group, self._consumer, {self._stream: after}, count=count, block=block_ms
        )
        if not answer:
            return []
        streams = list(answer.items()) if isinstance(answer, dict) else answer
        return list(streams[0][1])

    def _unpacked(self, entries: list[Any]) -> list[Packed]:
        found, useless = [], []
        for entry_id, fields in entries:
            if not fields:
                self.gone += 1
                useless.append(entry_id)
                continue
            try:
                batch, universe = unpack(fields[b"kind"].decode(), fields[b"data"])
                number, source = int(fields[b"number"]), fields[b"source"].decode()
            except (DataError, KeyError, ValueError):
                self.unreadable += 1
                useless.append(entry_id)
                continue
            found.append(Packed(entry_id.decode(), source, number, universe, batch))
        if useless:
            self._client.xack(self._stream, self._group, *(i for i in useless if i is not None))
        return found
