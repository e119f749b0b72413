"""What a run does, live, in a Redis stream: published without ever blocking it, followed from anywhere."""

from __future__ import annotations

import collections
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from trader.core.decision import Decision
from trader.core.errors import SettingsError
from trader.core.events import Event

__all__ = ["EventStream", "follow", "stream_key"]

_BATCH = 256
_TIMEOUT_S = 2.0
_BACKOFF_S = (0.05, 2.0)
_KEEP_S = 7 * 24 * 3600
_END = object()

Message = dict[str, Any]


def stream_key(run_id: str) -> str:
    """Return the name of a run's stream.

    >>> stream_key("demo")
    'gpt-trader:demo'
    """
    return f"gpt-trader:{run_id}"


class EventStream:
    """Publishes decisions and events of a run.

    Messages wait in a bounded queue for a thread of their own. Where Redis is slow or gone the queue fills, and
    what does not fit is dropped and counted; when Redis comes back the thread goes on. A message may be sent twice
    by a retry, and carries an id by which `follow` shows it once. A stream is deleted a week after its last
    message.

    Parameters
    ----------
    redis_url : str
        `redis://host:port/db`, `rediss://…` or `unix:///path`.
    run_id : str
        Names the stream: `gpt-trader:<run_id>`.
    maxlen : int
        About how many messages Redis keeps.
    capacity : int
        How many messages wait at most.

    Raises
    ------
    SettingsError
        If the URL is of another form. Whether a server answers is not asked.
    """

    def __init__(self, redis_url: str, run_id: str, maxlen: int = 10_000, *, capacity: int = 4096) -> None:
        self._client = _client(redis_url)
        self._run_id = run_id
        self._maxlen = maxlen
        self._source = uuid.uuid4().hex[:12]
        self._queue: queue.Queue[Any] = queue.Queue(capacity)
        self._dropped = 0
        self._drop_lock = threading.Lock()
        self._published = 0
        self._closed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"stream-{run_id}", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many messages were dropped so far."""
        return self._dropped

    @property
    def published(self) -> int:
        """How many messages Redis has taken so far."""
        return self._published

    def publish_decision(self, decision: Decision, *, trace_id: str, latency_ns: int | None = None) -> None:
        """Publish a summary of a decision; returns at once."""
        self._offer(lambda: _decision_message(decision, trace_id, latency_ns))

    def publish_event(self, event: Event) -> None:
        """Publish an event; returns at once."""
        self._offer(lambda: _event_message(event))

    def close(self, timeout_s: float = _TIMEOUT_S) -> None:
        """Send what waits and the end of the run, for at most `timeout_s`; the rest is dropped and counted."""
        self._closed = True
        deadline = time.monotonic() + timeout_s
        try:
            self._queue.put(_END, timeout=timeout_s)
        except queue.Full:
            self._stopping.set()
        self._thread.join(max(deadline - time.monotonic(), 0.0))
        self._stopping.set()
        self._thread.join(2 * _TIMEOUT_S)
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _offer(self, message: Callable[[], Message]) -> None:
        # A closure: making the message costs more than queueing it, and is the thread's work.
        try:
            if self._closed:
                raise queue.Full
            self._queue.put_nowait(message)
        except queue.Full:
            self._drop(1)

    def _drop(self, count: int) -> None:
        with self._drop_lock:
            self._dropped += count

    def _work(self) -> None:
        number = 0
        ended = False
        while not ended:
            taken = self._take()
            ended = taken[-1] is _END
            made: list[Message] = [item() for item in taken if item is not _END]
            if ended:
                made.append({"type": "end"})
            lines = []
            for message in made:
                head = {"id": f"{self._source}:{number}", "run_id": self._run_id}
                lines.append(orjson.dumps(head | message, option=orjson.OPT_SERIALIZE_NUMPY, default=str))
                number += 1
            if not self._send(lines):
                self._drop(len(lines) - ended)
                break
        while not self._queue.empty():
            self._drop(self._queue.get() is not _END)

    def _take(self) -> list[Any]:
        """Wait for a message and return it with those behind it, up to the end."""
        taken = [self._queue.get()]
        while len(taken) < _BATCH and taken[-1] is not _END:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken

    def _send(self, lines: list[bytes]) -> bool:
        """Send until Redis has taken all; False when told to stop before."""
        key, wait = stream_key(self._run_id), _BACKOFF_S[0]
        while not self._stopping.is_set():
            try:
                pipe = self._client.pipeline(transaction=True)
                for line in lines:
                    pipe.xadd(key, {"json": line}, maxlen=self._maxlen, approximate=True)
                pipe.expire(key, _KEEP_S)
                pipe.execute()
            except (redis.RedisError, OSError):
                self._stopping.wait(wait)
                wait = min(2 * wait, _BACKOFF_S[1])
            else:
                self._published += len(lines)
                return True
        return False


def follow(redis_url: str, run_id: str, *, idle_timeout_s: float | None = None) -> Iterator[Message]:
    """Yield a run's messages from the oldest kept, each once, until the run ends.

    While Redis is away it waits and goes on where it was.

    Parameters
    ----------
    idle_timeout_s : float, optional
        Stop also when nothing came for so long.
    """
    client = _client(redis_url)
    key, last = stream_key(run_id), "0-0"
    seen: collections.defaultdict[str, int] = collections.defaultdict(lambda: -1)
    heard, ended = time.monotonic(), False
    try:
        while idle_timeout_s is None or time.monotonic() - heard < idle_timeout_s:
            try:
                # A resumed run goes on after the end of its first part: an end is the end if nothing follows.
                reply: Any = client.xread({key: last}, count=_BATCH, block=None if ended else 500)
            except (redis.RedisError, OSError):
                time.sleep(_BACKOFF_S[0])
                continue
            if not reply:
                if ended:
                    return
                continue
            heard = time.monotonic()
            for entry, fields in reply[0][1]:
                last = entry
                message: Message = orjson.loads(fields[b"json"])
                source, _, number = message.pop("id").partition(":")
                if int(number) > seen[source]:
                    seen[source] = int(number)
                    ended = message["type"] == "end"
                    yield message
    finally:
        client.close()


def _client(redis_url: str) -> redis.Redis:
    try:
        return redis.Redis.from_url(
            redis_url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise SettingsError(f"telemetry.redis_url={redis_url!r}: {error}") from None


def _decision_message(decision: Decision, trace_id: str, latency_ns: int | None) -> Message:
    values = np.nan_to_num(decision.positions * decision.prices)
    equity = decision.equity
    return {
        "type": "decision",
        "trace_id": trace_id,
        "seq": int(decision.seq),
        "ts_ns": int(decision.ts_ns),
        "equity": float(equity),
        "cash": float(decision.cash),
        "gross": float(np.abs(values).sum() / equity) if equity else None,
        "net": float(values.sum() / equity) if equity else None,
        "orders": len(decision.orders),
        "denied": dict(collections.Counter(denial.reason.value for denial in decision.denials)),
        "fills": len(decision.fills),
        "latency_ns": latency_ns,
    }


def _event_message(event: Event) -> Message:
    head = {"type": "event", "kind": event.kind, "trace_id": event.trace_id, "ts_ns": event.ts_ns}
    return head | {"payload": event.payload()}
