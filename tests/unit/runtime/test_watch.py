"""Whether a cluster is still there: real sockets, of which somebody listens or not."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from trader.runtime.watch import ClusterWatch


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Of a raylet and of a control store, listening; a unix socket's path may not be long."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as raylet, socket.socket() as store:
        raylet.bind(str(Path(folder) / "raylet"))
        store.bind(("127.0.0.1", 0))
        raylet.listen()
        store.listen()
        yield raylet, store


class Clock:
    """Seconds that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def watch(sockets: tuple[socket.socket, socket.socket], clock: Clock) -> ClusterWatch:
    raylet, store = sockets
    return ClusterWatch(raylet.getsockname(), f"127.0.0.1:{store.getsockname()[1]}", clock=clock)


def test_a_raylet_that_has_ended_is_missed_at_once(sockets: tuple[socket.socket, socket.socket]) -> None:
    watching = watch(sockets, Clock())
    assert watching.problem() is None
    sockets[0].close()
    assert watching.problem() == "the raylet of this node has ended"


def test_a_raylet_that_is_busy_is_there(sockets: tuple[socket.socket, socket.socket]) -> None:
    """Its queue of connections is full, which refuses none."""
    raylet = sockets[0]
    raylet.listen(0)
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(raylet.getsockname())
        assert watch(sockets, Clock()).problem() is None


def test_a_head_may_be_away_for_half_a_minute(sockets: tuple[socket.socket, socket.socket]) -> None:
    """The time counts from when it was seen last; one that has come back in time is none that was away."""
    clock = Clock()
    watching = watch(sockets, clock)
    clock.now += 100.0
    assert watching.problem() is None
    where = sockets[1].getsockname()
    sockets[1].close()
    clock.now += 29.0
    assert watching.problem() is None
    with socket.socket() as back:
        back.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        back.bind(where)
        back.listen()
        clock.now += 5.0
        assert watching.problem() is None
    clock.now += 29.0
    assert watching.problem() is None
    clock.now += 1.0
    assert watching.problem() == "its head has not answered for 30 s"
