"""The channel between real processes: order, strangers, epochs, back-pressure and death."""

from __future__ import annotations

import collections
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trader.core.protocols import FeedBatch
from trader.runtime.channel import BUFFER_BYTES, Broadcast, ChannelError, Listener, Receiver, new_key
from trader.runtime.frames import encode

KEY = new_key()
EPOCH = 7

MakeBatches = Callable[..., list[FeedBatch]]


@pytest.fixture(params=[None, "127.0.0.1"], ids=["unix", "tcp"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    """A listener of either kind."""
    with contextlib.closing(Listener(KEY, EPOCH, request.param)) as opened:
        yield opened


def _accept(listener: Listener) -> socket.socket:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        peer = listener.accept(0.1)
        if peer is not None:
            return peer
    raise AssertionError("nobody came")


def _refuse(listener: Listener) -> None:
    deadline = time.monotonic() + 120
    while not listener.refused and time.monotonic() < deadline:
        assert listener.accept(0.1) is None
    assert listener.refused == 1


@contextlib.contextmanager
def _pair(listener: Listener) -> Iterator[tuple[socket.socket, Receiver]]:
    """Both ends in this process."""
    made: list[Receiver] = []
    connecting = threading.Thread(target=lambda: made.append(Receiver(listener.address, KEY, EPOCH)))
    connecting.start()
    peer = _accept(listener)
    connecting.join()
    with contextlib.closing(peer), contextlib.closing(made[0]) as receiver:
        yield peer, receiver


def test_every_peer_gets_every_batch_in_order(
    listener: Listener, start_peer: Any, make_batches: MakeBatches, digests: Any
) -> None:
    """Small and large batches and empty ones arrive bit for bit, once each, at two processes."""
    batches = make_batches(10, 0, 50_000, 1, 4096, 4097, 30_000, *[3] * 200)
    peers = [start_peer(listener.address, KEY, EPOCH) for _ in range(2)]
    out = Broadcast([_accept(listener) for _ in peers])
    for peer in peers:
        peer.go()
    for batch in batches:
        out.send(batch)
    out.end()
    for peer in peers:
        assert peer.result() == {"digests": digests(batches), "ended": "end"}
    out.close()


def test_a_stranger_is_refused_and_the_peer_still_accepted(
    listener: Listener, start_peer: Any, make_batches: MakeBatches, digests: Any
) -> None:
    """A wrong key gets nothing, is counted, and keeps nobody out."""
    stranger = start_peer(listener.address, new_key(), EPOCH)
    _refuse(listener)
    found = stranger.result()
    assert found["digests"] == []
    assert "peer" in found["ended"]
    peer = start_peer(listener.address, KEY, EPOCH)
    out = Broadcast([_accept(listener)])
    peer.go()
    batches = make_batches(5)
    out.send(batches[0])
    out.end()
    assert peer.result() == {"digests": digests(batches), "ended": "end"}
    out.close()


def test_an_impostor_that_listens_is_refused() -> None:
    """The receiver, too, asks for the key before it takes a batch."""
    with contextlib.closing(Listener(new_key(), EPOCH)) as impostor:
        serving = threading.Thread(target=impostor.accept, args=(120,))
        serving.start()
        with pytest.raises(ChannelError):
            Receiver(impostor.address, KEY, EPOCH)
        serving.join()
        assert impostor.refused == 1


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 200], ids=["nothing", "http", "zeros"])
def test_who_does_not_speak_the_protocol_is_refused(listener: Listener, said: bytes) -> None:
    """Anybody may connect; nobody gets further without the first words."""
    address = listener.address
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as stranger:
        stranger.connect(address)
        stranger.sendall(said)
        stranger.shutdown(socket.SHUT_WR)
        _refuse(listener)


def test_another_epoch_is_refused(listener: Listener, start_peer: Any) -> None:
    """A shard of an older pass knows the key, and is told why it is turned away."""
    late = start_peer(listener.address, KEY, EPOCH - 1)
    _refuse(listener)
    assert late.result() == {"digests": [], "ended": f"the peer is in epoch {EPOCH}; this one is in {EPOCH - 1}"}


def test_nobody_listens() -> None:
    """The address of a feed that has gone is an error at once."""
    closed = Listener(KEY, EPOCH)
    address = closed.address
    closed.close()
    with pytest.raises(ChannelError, match="nobody answers"):
        Receiver(address, KEY, EPOCH)


def test_a_slow_peer_slows_the_sender(
    listener: Listener, start_peer: Any, make_batches: MakeBatches, digests: Any
) -> None:
    """What was sent and not read stays under the size of the buffers; once the peer reads, all of it arrives."""
    batches = make_batches(*[100] * 2000)
    size = len(encode(batches[0]))
    peer = start_peer(listener.address, KEY, EPOCH)
    at_stall: list[int] = []

    def on_stall() -> None:
        if not at_stall:
            at_stall.append(sent)
            peer.go()

    out = Broadcast([_accept(listener)], on_stall)
    for sent, batch in enumerate(batches):  # noqa: B007 - on_stall reads it
        out.send(batch)
    out.end()
    assert peer.result() == {"digests": digests(batches), "ended": "end"}
    assert 1 <= at_stall[0] * size <= 4 * BUFFER_BYTES
    out.close()


@pytest.mark.parametrize("stalled", [False, True], ids=["idle", "stalled"])
def test_the_death_of_a_peer_is_seen(
    listener: Listener, start_peer: Any, make_batches: MakeBatches, stalled: bool
) -> None:
    """SIGKILL of the receiver ends the sender's next send, or the one it waits in, with a ChannelError."""
    peer = start_peer(listener.address, KEY, EPOCH)
    out = Broadcast([_accept(listener)], on_stall=peer.process.kill)
    if not stalled:
        peer.process.kill()
        peer.process.wait()
    batches = make_batches(*[1000] * 500)
    with pytest.raises(ChannelError, match="gone"):
        collections.deque(map(out.send, batches), maxlen=0)
    out.close()


def test_a_feed_that_dies_is_not_the_end_of_the_feed(
    listener: Listener, start_peer: Any, make_batches: MakeBatches, digests: Any
) -> None:
    """Without the frame of the end, even between two batches, the receiver raises; what came before is whole."""
    peer = start_peer(listener.address, KEY, EPOCH)
    connection = _accept(listener)
    peer.go()
    batches = make_batches(10, 10)
    Broadcast([connection]).send(batches[0])
    connection.setblocking(True)
    connection.sendall(encode(batches[1])[:-1])
    connection.close()
    assert peer.result() == {"digests": digests(batches[:1]), "ended": "the peer hung up"}


def test_hanging_up_wakes_the_receiver(listener: Listener) -> None:
    """A thread that waits for a batch is freed by another: how a reset ends the pass before."""
    with _pair(listener) as (_, receiver):
        threading.Timer(0.2, receiver.hang_up).start()
        with pytest.raises(ChannelError):
            next(receiver.batches(60.0))


@pytest.mark.parametrize("n_rows", [10, 10_000], ids=["small", "large"])
def test_a_pause_is_told(listener: Listener, make_batches: MakeBatches, n_rows: int) -> None:
    """When no batch follows for a while, the receiver is told once, and the stream goes on."""
    quiet = threading.Event()
    with _pair(listener) as (peer, receiver):
        first, second = make_batches(n_rows, n_rows)
        out = Broadcast([peer])
        sending = threading.Thread(target=lambda: (out.send(first), quiet.wait(60), out.send(second), out.end()))
        sending.start()
        received = [batch.seq for batch in receiver.batches(0.05, quiet.set)]
        sending.join()
    assert quiet.is_set()
    assert received == [0, 1]
