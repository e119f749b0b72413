"""The live stream against a real Redis: in order, never blocking, and through the death of the server."""

from __future__ import annotations

import signal
import threading
import time
import uuid
from typing import Any

import numpy as np
import pytest
import redis

from tests.support.waiting import wait_until
from trader.core.decision import Decision
from trader.core.errors import SettingsError
from trader.core.events import DataRejected
from trader.core.orders import Denial, DenialReason, FillBatch, OrderBatch
from trader.telemetry.stream import EventStream, follow, stream_key

IDLE_S = 60.0


def _decision(seq: int) -> Decision:
    position, price = np.array([10.0, -5.0, 0.0]), np.array([4.0, 2.0, np.nan])
    denials = (Denial(0, 0, DenialReason.DRAWDOWN, 0.4, 0.35),)
    empty = (OrderBatch.empty(), denials, FillBatch.empty(), (), ())
    return Decision(seq, 1000 + seq, 100.0, 70.0, position, price, price, {}, price, *empty)


def _publish(stream: EventStream, start: int, stop: int) -> None:
    for seq in range(start, stop):
        stream.publish_decision(_decision(seq), trace_id=f"t{seq}", latency_ns=5)


@pytest.fixture
def run_id() -> str:
    return uuid.uuid4().hex


def test_messages_arrive_in_order_until_the_end(redis_url: str, run_id: str) -> None:
    """What is published is followed in order, once, and ends with the run."""
    with EventStream(redis_url, run_id) as stream:
        _publish(stream, 0, 600)
        stream.publish_event(DataRejected(run_id=run_id, trace_id="t", ts_ns=9, source="f", reason="nan", count=2))
        wait_until(lambda: stream.published == 601)
    messages = list(follow(redis_url, run_id, idle_timeout_s=IDLE_S))
    assert stream.dropped == 0
    assert stream.published == 602
    assert [m["seq"] for m in messages[:600]] == list(range(600))
    assert messages[0] == {
        "run_id": run_id,
        "type": "decision",
        "trace_id": "t0",
        "seq": 0,
        "ts_ns": 1000,
        "equity": 100.0,
        "cash": 70.0,
        "gross": 0.5,
        "net": 0.3,
        "orders": 0,
        "denied": {"drawdown": 1},
        "fills": 0,
        "latency_ns": 5,
    }
    assert (messages[600]["kind"], messages[600]["payload"]["count"]) == ("data_rejected", 2)
    assert messages[601] == {"run_id": run_id, "type": "end"}


def test_a_message_sent_twice_is_shown_once(redis_url: str, run_id: str) -> None:
    """A batch whose first answer was lost, and which was therefore sent again, is followed once."""
    key = stream_key(run_id)
    with redis.Redis.from_url(redis_url) as client, EventStream(redis_url, run_id) as stream:
        _publish(stream, 0, 3)
        wait_until(lambda: stream.published == 3)
        for _, fields in client.xrange(key):
            client.xadd(key, fields)
        assert client.xlen(key) == 6
    messages = list(follow(redis_url, run_id, idle_timeout_s=IDLE_S))
    assert [m.get("seq") for m in messages] == [0, 1, 2, None]


def test_following_a_run_that_goes_on(redis_url: str, run_id: str) -> None:
    """A follower that came first sees messages as they are published."""
    got: list[dict[str, Any]] = []
    follower = threading.Thread(target=lambda: got.extend(follow(redis_url, run_id, idle_timeout_s=IDLE_S)))
    follower.start()
    with EventStream(redis_url, run_id) as stream:
        _publish(stream, 0, 5)
        wait_until(lambda: stream.published == 5)
        _publish(stream, 5, 9)
        wait_until(lambda: stream.published == 9)
    follower.join()
    assert [m.get("seq") for m in got] == [*range(9), None]


def test_a_resumed_run_is_followed_past_its_first_end(redis_url: str, run_id: str) -> None:
    """The end of an interrupted part is not the end where another part follows."""
    for part in range(2):
        with EventStream(redis_url, run_id) as stream:
            _publish(stream, 3 * part, 3 * part + 3)
            wait_until(lambda stream=stream: stream.published == 3)
    messages = list(follow(redis_url, run_id, idle_timeout_s=IDLE_S))
    assert [m["seq"] for m in messages if m["type"] == "decision"] == list(range(6))
    assert messages[-1]["type"] == "end"


def test_the_stream_is_bounded_and_expires(redis_url: str, run_id: str) -> None:
    """Redis keeps about `maxlen` messages, and forgets the stream in the end."""
    with EventStream(redis_url, run_id, maxlen=100) as stream:
        _publish(stream, 0, 2000)
        wait_until(lambda: stream.published == 2000)
    with redis.Redis.from_url(redis_url) as client:
        assert 100 <= client.xlen(stream_key(run_id)) <= 300
        assert 0 < client.ttl(stream_key(run_id)) <= 7 * 24 * 3600


def test_server_death_and_return(redis_server: Any, run_id: str) -> None:
    """Messages published while the server is dead arrive once when it is back, and the follower goes on too."""
    got: list[dict[str, Any]] = []
    follower = threading.Thread(target=lambda: got.extend(follow(redis_server.url, run_id, idle_timeout_s=60)))
    follower.start()
    with EventStream(redis_server.url, run_id) as stream:
        _publish(stream, 0, 50)
        wait_until(lambda: stream.published == 50)
        redis_server.kill()
        began = time.monotonic()
        _publish(stream, 50, 120)
        assert time.monotonic() - began < 30.0
        redis_server.start()
        _publish(stream, 120, 150)
        wait_until(lambda: stream.published == 150)
    follower.join()
    assert stream.dropped == 0
    assert [m["seq"] for m in got if m["type"] == "decision"] == list(range(150))


def test_a_hanging_server_never_blocks_and_drops_are_counted(redis_server: Any, run_id: str) -> None:
    """With a server that accepts and never answers, publishing returns at once and every message is accounted for."""
    stream = EventStream(redis_server.url, run_id, capacity=100)
    _publish(stream, 0, 1)
    wait_until(lambda: stream.published == 1)
    redis_server.signal(signal.SIGSTOP)
    began = time.monotonic()
    _publish(stream, 1, 5001)
    assert time.monotonic() - began < 60.0  # blocking on each would take hours
    stream.close(timeout_s=0.2)
    assert time.monotonic() - began < 120.0
    redis_server.signal(signal.SIGCONT)
    wait_until(lambda: stream.dropped + stream.published == 5001)
    assert stream.dropped >= 5000 - 100 - 256


def test_without_a_server(run_id: str) -> None:
    """With no server at all a run goes on, and its messages are counted as dropped."""
    with EventStream("redis://127.0.0.1:1", run_id) as stream:
        _publish(stream, 0, 10)
    assert (stream.published, stream.dropped) == (0, 10)
    _publish(stream, 10, 11)
    assert stream.dropped == 11


def test_other_urls() -> None:
    """A URL of another kind is refused by name."""
    with pytest.raises(SettingsError, match=r"telemetry.redis_url='http://x'"):
        EventStream("http://x", "r")
