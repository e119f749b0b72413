"""A direct way for batches from the feed actor to a shard actor, past Ray's calls.

An actor call costs more processor time than a small batch itself, on both sides (see `docs/adr/0004`). Here a batch
is one `send` on a connected socket and one wake-up of the reader: a Unix socket (Linux's abstract namespace: no
file is left behind by a process that is killed) where both live on one node, TCP between nodes.

- **Who may connect.** Both ends prove that they know the session's key (HMAC-SHA256 over fresh random numbers of both)
  and name their epoch; anything else is refused and counted. The bytes themselves are not encrypted.
- **Back-pressure.** What the receiver has not read fills the socket's buffers, which hold `BUFFER_BYTES` on each side;
  then the sender waits. A batch is sent at once where there is room, and whatever piled up is read without
  a further wake-up.
- **Death.** The kernel closes the sockets of a process that ends, however it ends; the other end sees it at once.
"""

from __future__ import annotations

import hmac
import secrets
import select
import selectors
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from trader.core.errors import OperationError
from trader.core.protocols import FeedBatch
from trader.runtime.frames import END, HEADER_BYTES, decode_header, decode_payload, encode

__all__ = ["BUFFER_BYTES", "KEY_BYTES", "Address", "Broadcast", "ChannelError", "Listener", "Receiver", "new_key"]

Address = str | tuple[str, int]
"""As the socket module has it: a Unix name, or host and port."""

KEY_BYTES = 32
BUFFER_BYTES = 256 * 1024
"""Asked of the kernel for each socket; Linux grants twice that, up to `net.core.wmem_max`."""

_AHEAD_ROWS = 4096
"""The batch after one of more rows is read while that one is processed; for a smaller one a thread costs more."""
_HELLO = struct.Struct(">8sq32s")
_MAGIC = b"trader/1"
_PROOF_BYTES = 32
_HANDSHAKE_S = 5.0
_CONNECT_S = 10.0
_STALL_S = 0.25


class ChannelError(OperationError):
    """The other end is gone, or not who it should be; a recovery makes a new channel."""


def new_key() -> bytes:
    """Return a fresh key for the channels of a session."""
    return secrets.token_bytes(KEY_BYTES)


class Listener:
    """Waits for one peer that knows the key and is in the same epoch.

    Parameters
    ----------
    key : bytes
    epoch : int
    host : str, optional
        The address to listen on for TCP; None is a Unix socket, for a peer on this machine.
    """

    def __init__(self, key: bytes, epoch: int, host: str | None = None) -> None:
        self._key = key
        self._epoch = epoch
        self.refused = 0
        """Peers that were turned away."""
        if host is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(f"\0trader-{secrets.token_hex(16)}")
        else:
            self._socket = socket.create_server((host, 0))
        # What is accepted inherits the size of the buffers.
        _bound_buffers(self._socket)
        self._socket.listen()

    @property
    def address(self) -> Address:
        """Where to connect to."""
        name = self._socket.getsockname()
        return name.decode() if isinstance(name, bytes) else (name[0], name[1])

    def accept(self, timeout_s: float) -> socket.socket | None:
        """Return the connection to the peer; None if it did not come within the time, or was refused."""
        self._socket.settimeout(timeout_s)
        try:
            peer, _ = self._socket.accept()
        except TimeoutError:
            return None
        try:
            _shake_hands(peer, self._key, self._epoch, listening=True)
        except (ChannelError, OSError):
            self.refused += 1
            peer.close()
            return None
        return peer

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class Broadcast:
    """The sending end: the same batches to every peer.

    Parameters
    ----------
    peers : sequence of socket
        As `Listener.accept` returned them.
    on_stall : callable
        Called every quarter of a second while a peer takes nothing; may raise to give up.
    """

    def __init__(self, peers: Sequence[socket.socket], on_stall: Callable[[], None] = lambda: None) -> None:
        self._peers = list(peers)
        self._on_stall = on_stall
        for peer in self._peers:
            peer.setblocking(False)

    def send(self, batch: FeedBatch) -> None:
        """Send a batch to all; return when the last byte is in the buffers of every socket.

        Raises
        ------
        ChannelError
            If a peer is gone.
        """
        self._send(encode(batch))

    def end(self) -> None:
        """Tell all that nothing follows."""
        self._send(END)

    def close(self) -> None:
        """Hang up."""
        for peer in self._peers:
            peer.close()

    def _send(self, frame: bytes) -> None:
        whole = memoryview(frame)
        left: dict[socket.socket, memoryview] = {}
        for peer in self._peers:
            rest = whole[_send_some(peer, whole) :]
            if rest:
                left[peer] = rest
        if left:
            self._send_rest(left)

    def _send_rest(self, left: dict[socket.socket, memoryview]) -> None:
        with selectors.DefaultSelector() as selector:
            for peer in left:
                selector.register(peer, selectors.EVENT_WRITE)
            while left:
                writable = [key.fd for key, _ in selector.select(_STALL_S)]
                if not writable:
                    self._on_stall()
                for peer in [peer for peer in left if peer.fileno() in writable]:
                    left[peer] = left[peer][_send_some(peer, left[peer]) :]
                    if not left[peer]:
                        del left[peer]
                        selector.unregister(peer)


class Receiver:
    """The receiving end.

    Parameters
    ----------
    address : Address
        Of the listener.
    key : bytes
    epoch : int

    Raises
    ------
    ChannelError
        If nobody answers there, or it does not know the key, or is in another epoch.
    """

    def __init__(self, address: Address, key: bytes, epoch: int) -> None:
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="channel")
        self._socket = _connect(address)
        try:
            _shake_hands(self._socket, key, epoch, listening=False)
            self._socket.settimeout(None)
        except OSError as error:
            self._socket.close()
            raise ChannelError(f"no handshake with {address!r}: {error}") from error
        except ChannelError:
            self._socket.close()
            raise

    def batches(self, quiet_s: float, on_quiet: Callable[[], None] = lambda: None) -> Iterator[FeedBatch]:
        """Yield batches until the sender ends the feed; call `on_quiet` when none came for `quiet_s`.

        Raises
        ------
        ChannelError
            If the sender is gone before that.
        """
        incoming = select.poll()
        incoming.register(self._socket, select.POLLIN)
        batch = self._next()
        while batch is not None:
            if len(batch.data) > _AHEAD_ROWS:
                following = self._ahead.submit(self._next)
                yield batch
                if not wait([following], quiet_s).done:
                    on_quiet()
                batch = following.result()
            else:
                yield batch
                if not incoming.poll(1000 * quiet_s):
                    on_quiet()
                batch = self._next()

    def _next(self) -> FeedBatch | None:
        """Return the next batch, None at the end of the feed."""
        header = decode_header(_read(self._socket, HEADER_BYTES))
        return None if header.table is None else decode_payload(header, _read(self._socket, header.payload_bytes))

    def hang_up(self) -> None:
        """End the connection from any thread; one that waits for a batch gets a ChannelError."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the sender was first

    def close(self) -> None:
        """Close the socket."""
        self.hang_up()
        self._ahead.shutdown()
        self._socket.close()


def _connect(address: Address) -> socket.socket:
    unix = isinstance(address, str)
    connection = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    _bound_buffers(connection)
    connection.settimeout(_CONNECT_S)
    try:
        connection.connect(address)
    except OSError as error:
        connection.close()
        raise ChannelError(f"nobody answers at {address!r}: {error}") from error
    return connection


def _bound_buffers(connection: socket.socket) -> None:
    for side in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, side, BUFFER_BYTES)


def _shake_hands(peer: socket.socket, key: bytes, epoch: int, *, listening: bool) -> None:
    """Prove the key to each other; the one that connected goes first, so a stranger learns nothing.

    Both proofs cover the random numbers and epochs of both, and the role of who gives them: none can be played back.
    """
    peer.settimeout(_HANDSHAKE_S)
    if peer.family != socket.AF_UNIX:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    mine = _HELLO.pack(_MAGIC, epoch, secrets.token_bytes(32))
    peer.sendall(mine)
    theirs = bytes(_read(peer, _HELLO.size))
    magic, their_epoch, _ = _HELLO.unpack(theirs)
    if magic != _MAGIC:
        raise ChannelError(f"the peer speaks {magic!r}; {_MAGIC!r} is allowed")
    hellos = mine + theirs if listening else theirs + mine

    def proof(role: bytes) -> bytes:
        return hmac.digest(key, role + hellos, "sha256")

    if not listening:
        peer.sendall(proof(b"receiver"))
    expected = proof(b"receiver" if listening else b"sender")
    if not hmac.compare_digest(expected, _read(peer, _PROOF_BYTES)):
        raise ChannelError("the peer does not know the key of this session")
    if listening:
        peer.sendall(proof(b"sender"))
    if their_epoch != epoch:
        raise ChannelError(f"the peer is in epoch {their_epoch}; this one is in {epoch}")


def _send_some(peer: socket.socket, frame: memoryview) -> int:
    try:
        return peer.send(frame)
    except BlockingIOError:
        return 0
    except OSError as error:
        raise ChannelError(f"a peer is gone: {error}") from error


def _read(connection: socket.socket, n_bytes: int) -> bytearray:
    """Return exactly that many bytes, in memory of their own."""
    buffer = bytearray(n_bytes)
    view, done = memoryview(buffer), 0
    while done < n_bytes:
        try:
            count = connection.recv_into(view[done:], 0, socket.MSG_WAITALL)
        except OSError as error:
            raise ChannelError(f"the peer is gone: {error}") from error
        if not count:
            raise ChannelError("the peer hung up")
        done += count
    return buffer
