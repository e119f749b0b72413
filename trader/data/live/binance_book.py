"""Binance's order books as a source of quotes: numbered diffs from the stream, snapshots over REST."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from trader.core.market import Universe
from trader.data.book import BookDiff, BookSync
from trader.data.live.binance import binance_addresses
from trader.data.live.binance_control import ControlDecoder, Millis
from trader.data.live.depth_log import DepthLog
from trader.data.live.source import Source
from trader.settings.live import LiveSettings

if TYPE_CHECKING:
    import httpx

__all__ = ["BinanceBookDecoder", "BinanceSnapshots", "BookState", "binance_book_source"]

_LEVELS = 1000
"""Of a snapshot. A level further out that does not change stays unknown, as Binance says."""
_MS = 1_000_000
_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
_Price = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
_Size = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
_Side = list[tuple[_Price, _Size]]


class _Diff(msgspec.Struct, gc=False):
    s: str
    E: Millis
    U: _Number
    u: _Number
    b: _Side
    a: _Side
    T: Millis = 0
    pu: _Number | None = None


class _Wrapped(msgspec.Struct, gc=False):
    data: _Diff


class _Snapshot(msgspec.Struct):
    lastUpdateId: _Number  # noqa: N815 - Binance's name
    bids: _Side
    asks: _Side


class BookState(msgspec.Struct, frozen=True):
    """How the book of a symbol fares; numbers since the beginning.

    `last` is the number of its last update, None while it is not to be used; `updates` counts levels that were set by
    diffs that were applied.
    """

    last: int | None
    gaps: int
    snapshots: int
    diffs: int
    updates: int


class BinanceBookDecoder(ControlDecoder):
    """Keeps a book a symbol; its rows are the best bid and ask after every diff that changed them.

    While a book is not complete it brings nothing. A row's event time is that of its diff; when a book begins, held
    diffs and all, there is one row.

    Parameters
    ----------
    universe : Universe
    """

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe, "quotes", "depthUpdate")
        self._decode = msgspec.json.Decoder(_Wrapped, strict=False).decode
        self._decode_bare = msgspec.json.Decoder(_Diff, strict=False).decode
        self._books = [BookSync() for _ in universe.symbols]
        self._tops: list[tuple[float, ...]] = [()] * len(universe)
        self._gaps: list[tuple[str, str]] = []
        self._depths: DepthLog | None = None
        self._snapshots = [0] * len(universe)
        self._applied = [0] * len(universe)
        self._updates = [0] * len(universe)
        self._newest_ns = [0] * len(universe)

    def keep_depth(self, log: DepthLog) -> None:
        """Let a log have the best levels after every diff that is applied."""
        self._depths = log

    def states(self) -> dict[str, BookState]:
        """Return how the books fare, by symbol."""
        return {
            symbol: BookState(book.last, book.gaps, self._snapshots[n], self._applied[n], self._updates[n])
            for n, (symbol, book) in enumerate(zip(self._symbols, self._books, strict=True))
        }

    def counts(self) -> dict[str, int]:
        """Return how many messages, rows and diffs were left out, by reason, and how often a book was."""
        found = super().counts()
        for reason, each in (("old_diff", "old"), ("held_too_long", "overflowed"), ("book_gap", "gaps")):
            n = sum(getattr(book, each) for book in self._books)
            if n:
                found[reason] = n
        return found

    def book_counts(self) -> dict[str, NDArray[np.int64]]:
        """Return how often each book was thrown away, and how often it began, shape (n_symbols,)."""
        gaps = np.array([book.gaps for book in self._books], np.int64)
        return {"book_gaps": gaps, "book_snapshots": np.array(self._snapshots, np.int64)}

    def on_message(self, raw: bytes | memoryview, recv_ns: int) -> bytes | None:
        """Take in one message, received at `recv_ns`; there is nothing to answer."""
        self.messages += 1
        self.bytes += len(raw)
        try:
            diff = self._decode(raw).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            try:
                diff = self._decode_bare(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._on_control(raw)
                return None
        symbol_id = self._ids.get(diff.s)
        if symbol_id is None:
            self._count("unknown_symbol")
        elif diff.u < diff.U:
            self._count("malformed")
        else:
            self.bytes_by_symbol[symbol_id] += len(raw)
            event_ns = (diff.T or diff.E) * _MS
            changes = BookDiff(diff.U, diff.u, diff.pu, _table(diff.b), _table(diff.a), event_ns)
            self._on_diff(symbol_id, changes, max(recv_ns, self._last_recv_ns + 1))
        return None

    def wanted(self) -> list[str]:
        """Return the symbols whose book needs a snapshot; a diff must have come, for the snapshot has to be newer."""
        return [
            symbol
            for symbol, book in zip(self._symbols, self._books, strict=True)
            if book.needs_snapshot and book.n_held
        ]

    def gaps(self) -> list[tuple[str, str]]:
        """Return symbol and reason of each book that was thrown away since the last call."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def forget(self) -> None:
        """Throw all books away."""
        for symbol_id, book in enumerate(self._books):
            book.reset()
            self._not_in_step(symbol_id)

    def on_snapshot(self, symbol: str, last: int, bids: _Side, asks: _Side, now_ns: int) -> bool:
        """Begin a book with what REST tells, received at `now_ns`; return whether it is complete."""
        symbol_id = self._ids[symbol.upper()]
        book = self._books[symbol_id]
        if not book.needs_snapshot or not book.n_held:
            return not book.needs_snapshot
        recv_ns = max(now_ns, self._last_recv_ns + 1)
        event_ns = 0

        def applied(diff: BookDiff) -> None:
            nonlocal event_ns
            event_ns = diff.event_ns
            self._note(symbol_id, diff, recv_ns)

        if not book.on_snapshot(last, _table(bids), _table(asks), applied):
            self._count("unfit_snapshot")
            self._not_in_step(symbol_id)
            return False
        self._snapshots[symbol_id] += 1
        if event_ns:
            self._quote(symbol_id, event_ns, recv_ns)
        elif self._depths is not None:
            self._depths.show(self._newest_ns[symbol_id], symbol_id, *book.book.levels(self._depths.n_levels))
        return True

    def _on_diff(self, symbol_id: int, diff: BookDiff, recv_ns: int) -> None:
        book = self._books[symbol_id]
        last, crossed = book.last, book.crossed
        self._newest_ns[symbol_id] = max(self._newest_ns[symbol_id], diff.event_ns)
        outcome = book.on_diff(diff)
        if outcome == "applied":
            self._note(symbol_id, diff, recv_ns)
            self._quote(symbol_id, diff.event_ns, recv_ns)
        elif outcome == "gap":
            is_crossed = book.crossed > crossed
            self._gaps.append((self._symbols[symbol_id], _crossed(diff) if is_crossed else _missing(diff, last or 0)))
            self._not_in_step(symbol_id)

    def _note(self, symbol_id: int, diff: BookDiff, recv_ns: int) -> None:
        self._applied[symbol_id] += 1
        self._updates[symbol_id] += len(diff.bids) + len(diff.asks)  # type: ignore[arg-type]  # both are arrays
        log = self._depths
        if log is not None:
            event_ns = min(diff.event_ns - self.clock.shift_ns, recv_ns)
            log.add(event_ns, recv_ns, symbol_id, *self._books[symbol_id].book.levels(log.n_levels))

    def _quote(self, symbol_id: int, event_ns: int, recv_ns: int) -> None:
        """Put a row if the best levels are others than before; a book without one of its sides brings none."""
        self._seen_ns[symbol_id] = recv_ns
        bids, asks = self._books[symbol_id].book.levels(1)
        (bid, bid_size), (ask, ask_size) = bids[0].tolist(), asks[0].tolist()
        top = (bid, ask, bid_size, ask_size)
        if top == self._tops[symbol_id]:
            return
        if bid != bid or ask != ask:  # NaN
            self._count("one_sided")
            return
        self._tops[symbol_id] = top
        self._rows += self._pack(event_ns, recv_ns, symbol_id, *top)
        self._last_recv_ns = recv_ns

    def _not_in_step(self, symbol_id: int) -> None:
        self._tops[symbol_id] = ()
        if self._depths is not None:
            self._depths.forget(symbol_id)


class BinanceSnapshots:
    """Binance's REST interface to order books, for a decoder.

    Parameters
    ----------
    base : str
        Where the REST interface is, its version included.
    decoder : BinanceBookDecoder
    """

    def __init__(self, base: str, decoder: BinanceBookDecoder) -> None:
        self._base = base
        self._decoder = decoder
        self._decode = msgspec.json.Decoder(_Snapshot, strict=False).decode
        self.wanted = decoder.wanted
        self.gaps = decoder.gaps
        self.forget = decoder.forget

    async def take(self, client: httpx.AsyncClient, symbol: str) -> bool:
        """Fetch a snapshot; return whether the book is complete with it.

        Raises
        ------
        httpx.HTTPError
            If the server does not answer, or refuses.
        ValueError
            If the answer is not one.
        """
        answer = await client.get(f"{self._base}/depth", params={"symbol": symbol, "limit": _LEVELS})
        found = self._decode(answer.raise_for_status().content)
        return self._decoder.on_snapshot(symbol, found.lastUpdateId, found.bids, found.asks, time.time_ns())


def binance_book_source(universe: Universe, live: LiveSettings, url: str | None) -> Source:
    """Return the best levels of Binance's order books.

    Raises
    ------
    DataError
        If a symbol is not of Binance's form.
    """
    base, rest = binance_addresses(universe, live, url)
    decoder = BinanceBookDecoder(universe)
    streams = "/".join(f"{symbol.lower()}@depth@100ms" for symbol in universe.symbols)
    return Source(
        name="binance",
        url=f"{base}/stream?streams={streams}",
        decoder=decoder,
        time_url=f"{rest}/time",
        snapshots=BinanceSnapshots(rest, decoder),
    )


def _table(levels: Sequence[tuple[float, float]]) -> NDArray[Any]:
    """Return levels as rows, in a third of the time that numpy takes for tuples."""
    return np.fromiter(itertools.chain.from_iterable(levels), np.float64, 2 * len(levels)).reshape(-1, 2)


def _missing(diff: BookDiff, last: int) -> str:
    until = diff.first - 1 if diff.previous is None else diff.previous
    if until > last:
        return f"updates {last + 1} to {until} never came"
    return f"updates {diff.first} to {diff.last} do not follow on {last}"


def _crossed(diff: BookDiff) -> str:
    return f"with updates {diff.first} to {diff.last} the best bid is not below the best ask"
