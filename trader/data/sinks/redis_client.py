"""Connections to Redis that fail soon instead of hanging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trader.core.errors import ServiceUnavailableError, SettingsError

if TYPE_CHECKING:
    import redis

__all__ = ["TIMEOUT_S", "connect", "probe"]

TIMEOUT_S = 2.0
"""Longest wait for an answer."""


def connect(url: str) -> redis.Redis:
    """Return a client that does not retry by itself; nothing is sent yet.

    Raises
    ------
    SettingsError
        If the URL is of another form.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        return redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
    except ValueError as error:
        raise SettingsError(f"Redis URL {url!r}: {error}") from None


def probe(client: redis.Redis, stream: str) -> None:
    """Ask whether the server answers, and whether the key is a stream or free.

    Raises
    ------
    ServiceUnavailableError
        If the server does not answer, or not to us.
    SettingsError
        If the key holds something else.
    """
    import redis

    try:
        kind: Any = client.type(stream)
    except (redis.RedisError, OSError) as error:
        raise ServiceUnavailableError(f"Redis does not answer: {error}") from None
    if kind not in (b"stream", b"none"):
        raise SettingsError(f"key {stream!r} holds a {kind.decode()}; a stream or a free key is allowed")
