"""The factory of sinks: an address or settings in, sinks out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from trader.core.errors import SettingsError
from trader.core.market import Universe
from trader.data.sinks.kafka import KafkaSink
from trader.data.sinks.parquet import ParquetSink
from trader.data.sinks.queued import Overflow, QueuedSink
from trader.data.sinks.redis_stream import RedisStreamSink
from trader.settings.sinks import SinkSettings

__all__ = ["kafka_place", "open_sink", "open_sinks", "redis_place"]


def open_sink(target: str, universe: Universe, source: str, settings: SinkSettings) -> QueuedSink:
    """Return the sink of an address.

    Parameters
    ----------
    target : str
        `redis://HOST:PORT/STREAM` (also `rediss://`, `unix:///PATH#STREAM`), `kafka://HOST:PORT/TOPIC`, or a folder.
    universe : Universe
    source : str
        Names the writer.
    settings : SinkSettings
        Bounds.

    Raises
    ------
    SettingsError
        If the address is of another form.
    """
    scheme, _, rest = target.partition("://")
    max_rows = settings.max_rows
    if not rest:
        return ParquetSink(Path(target), universe, max_rows=max_rows)
    if scheme == "kafka":
        return KafkaSink(*kafka_place(target), universe, source, max_rows=max_rows)
    url, stream = redis_place(target)
    return RedisStreamSink(url, stream, universe, source, maxlen=settings.redis.maxlen, max_rows=max_rows)


def open_sinks(
    settings: SinkSettings,
    universe: Universe,
    source: str,
    data: Literal["ticks", "bars"],
    overflow: Overflow = "drop_oldest",
) -> list[QueuedSink]:
    """Return the sinks that the settings name, for ticks or bars; none if they name none."""
    found: list[QueuedSink] = []
    redis, kafka, parquet = settings.redis, settings.kafka, settings.parquet
    if data not in settings.data:
        return found
    writer = f"{source}/{data}"
    if redis.url is not None:
        found.append(
            RedisStreamSink(
                redis.url,
                f"{redis.stream}:{data}",
                universe,
                writer,
                maxlen=redis.maxlen,
                max_rows=settings.max_rows,
                overflow=overflow,
            )
        )
    if kafka.servers is not None:
        topic = f"{kafka.topic}.{data}"
        found.append(KafkaSink(kafka.servers, topic, universe, writer, max_rows=settings.max_rows, overflow=overflow))
    if parquet.path is not None:
        found.append(ParquetSink(parquet.path, universe, writer, max_rows=settings.max_rows, overflow=overflow))
    return found


def kafka_place(address: str) -> tuple[str, str]:
    """Return the servers and the topic of an address.

    Raises
    ------
    SettingsError
        If it is of another form.

    Examples
    --------
    >>> kafka_place("kafka://a:9092,b:9092/ticks")
    ('a:9092,b:9092', 'ticks')
    """
    servers, _, topic = address.removeprefix("kafka://").partition("/")
    if not servers or not topic or "/" in topic:
        raise SettingsError(f"{address!r}; kafka://HOST:PORT/TOPIC is allowed")
    return servers, topic


def redis_place(address: str) -> tuple[str, str]:
    """Return the URL of the server, and the stream, of an address.

    Raises
    ------
    SettingsError
        If it is of another form.

    Examples
    --------
    >>> redis_place("redis://127.0.0.1:6379/ticks")
    ('redis://127.0.0.1:6379', 'ticks')
    >>> redis_place("redis://127.0.0.1:6379/2/ticks")
    ('redis://127.0.0.1:6379/2', 'ticks')
    >>> redis_place("unix:///tmp/redis.sock#ticks")
    ('unix:///tmp/redis.sock', 'ticks')
    """
    parts = urlsplit(address)
    if parts.scheme == "unix":
        base, stream = address.partition("#")[0], parts.fragment
    else:
        path, _, stream = parts.path.rpartition("/")
        base = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
    if parts.scheme not in ("redis", "rediss", "unix") or not stream:
        raise SettingsError(
            f"{address!r}; redis://HOST:PORT/STREAM, rediss://HOST:PORT/STREAM and unix:///PATH#STREAM are allowed"
        )
    return base, stream
