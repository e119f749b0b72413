"""Binance's messages as rows of trades and quotes.

Spot and USD-M futures speak nearly alike: `trade` and `bookTicker`, wrapped as `{"stream", "data"}` or bare. Spot's
`bookTicker` carries no time and counts as of its receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from trader.core.errors import DataError
from trader.core.market import Universe
from trader.data.live.binance_control import ControlDecoder, Millis
from trader.data.live.decoder import LiveKind, Mark
from trader.data.live.source import Gap, Source
from trader.settings.live import LiveSettings

if TYPE_CHECKING:
    import httpx

__all__ = [
    "STREAMS",
    "BinanceDecoder",
    "BinanceHistory",
    "HistoricalTrade",
    "binance_addresses",
    "binance_source",
    "streams_of",
]

STREAMS: Mapping[LiveKind, str] = {"trades": "trade", "quotes": "bookTicker"}
"""Binance's stream that carries each kind of tick, and the name of its events."""

_STREAM_URLS = {"spot": "wss://stream.binance.com:9443", "usdm": "wss://fstream.binance.com"}
_REST_URLS = {"spot": "https://api.binance.com", "usdm": "https://fapi.binance.com"}
_REST_PATHS = {"spot": "/api/v3", "usdm": "/fapi/v1"}
_PAGE = 1000
_PAGES = 50
_MANY = 4
"""Fewer messages are decoded faster one by one."""
_MS = 1_000_000
_Decode = Callable[[bytes | memoryview], Any]


class _Trade(msgspec.Struct, gc=False):
    e: Literal["trade"]
    s: str
    t: int
    p: float
    q: float
    T: Millis
    m: bool


class _Quote(msgspec.Struct, gc=False):
    u: int
    s: str
    b: float
    B: float
    a: float
    A: float
    T: Millis = 0


class _WrappedTrade(msgspec.Struct, gc=False):
    data: _Trade


class _WrappedQuote(msgspec.Struct, gc=False):
    data: _Quote


def streams_of(universe: Universe, kind: LiveKind) -> tuple[str, ...]:
    """Return the names of the streams that carry the ticks of every symbol.

    >>> streams_of(Universe(("BTCUSDT",)), "quotes")
    ('btcusdt@bookTicker',)
    """
    return tuple(f"{symbol.lower()}@{STREAMS[kind]}" for symbol in universe.symbols)


class HistoricalTrade(msgspec.Struct, gc=False):
    """A trade as Binance's REST tells it."""

    id: int
    price: float
    qty: float
    time: Millis
    isBuyerMaker: bool  # noqa: N815 - Binance's name


class BinanceDecoder(ControlDecoder):
    """Turns Binance's messages into batches of ticks; see `Decoder`.

    A message that is not JSON, of another form or of a symbol that was not asked for is refused; one whose number was
    seen before is left out as a duplicate. Skipped trade ids are holes, lost if they do not come in time; those
    that do are taken. Quotes carry rising numbers with holes by design, so only repeats and steps back are seen.
    """

    def __init__(self, universe: Universe, kind: LiveKind) -> None:
        super().__init__(universe, kind, STREAMS[kind])
        wrapped, bare = (_WrappedTrade, _Trade) if kind == "trades" else (_WrappedQuote, _Quote)
        self._decode: _Decode = msgspec.json.Decoder(wrapped, strict=False).decode
        self._decode_many: _Decode = msgspec.json.Decoder(list[wrapped], strict=False).decode  # type: ignore[valid-type]
        self._decode_bare: _Decode = msgspec.json.Decoder(bare, strict=False).decode
        self._takers = [sequence.accept for sequence in self._sequences]
        self._last_quote = [-1] * len(universe)
        self._last_event_ns = [0] * len(universe)

    def marks(self) -> dict[int, Mark]:
        """Return how far each symbol has come, by id."""
        return {
            symbol_id: Mark(event_ns, self._sequences[symbol_id].last or 0)
            for symbol_id, event_ns in enumerate(self._last_event_ns)
            if event_ns
        }

    def on_history(self, symbol_id: int, rows: Iterable[HistoricalTrade], now_ns: int) -> int:
        """Take in trades fetched over REST, oldest first; return how many were missing."""
        sequence = self._sequences[symbol_id]
        missing = [row for row in rows if sequence.fill(row.id)]
        self._put_first(
            ((row.time * _MS, symbol_id, row.price, row.qty, -1 if row.isBuyerMaker else 1) for row in missing), now_ns
        )
        return len(missing)

    def on_message(self, raw: bytes | memoryview, recv_ns: int) -> bytes | None:
        """Take in one message, received at `recv_ns`; there is nothing to answer."""
        self.messages += 1
        self.bytes += len(raw)
        # Times of receipt rise strictly, so a recording sorted by them is in the order of receipt.
        recv_ns = max(recv_ns, self._last_recv_ns + 1)
        try:
            payload = self._decode(raw).data
            symbol_id = self._ids[payload.s]
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
            self._on_other(raw, recv_ns)
        else:
            self.bytes_by_symbol[symbol_id] += len(raw)
            self._on_row(payload, symbol_id, recv_ns)
        return None

    def on_messages(self, raws: Sequence[bytes], recv_ns: Sequence[int]) -> list[bytes]:
        """Take in messages that came together: decoded at once where all are ticks, which takes half the time."""
        found = self._decode_all(raws) if len(raws) >= _MANY and recv_ns[0] > self._last_recv_ns else None
        if found is None:
            return super().on_messages(raws, recv_ns)
        self.messages += len(raws)
        self.bytes += sum(map(len, raws))
        self._on_rows(*found, recv_ns)
        sizes = np.fromiter(map(len, raws), np.int64, len(raws))
        self.bytes_by_symbol += np.bincount(found[1], sizes, len(self._symbols)).astype(np.int64)
        return []

    def _decode_all(self, raws: Sequence[bytes]) -> tuple[list[Any], list[int]] | None:
        """Return the ticks of the messages and their symbols; None where one is something else."""
        try:
            payloads = [each.data for each in self._decode_many(b"[%b]" % b",".join(raws))]
            symbol_ids = [self._ids[payload.s] for payload in payloads]
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
            return None
        return (payloads, symbol_ids) if len(payloads) == len(raws) else None

    def _on_rows(self, payloads: Sequence[Any], symbol_ids: Sequence[int], recv_ns: Sequence[int]) -> None:
        records = np.empty(len(payloads), self._dtype)
        records["ts_recv_ns"], records["symbol_id"] = recv_ns, symbol_ids
        events = np.array([payload.T for payload in payloads]) * _MS
        events = np.where(events > 0, events, records["ts_recv_ns"])
        if self._kind == "trades":
            takers = [self._takers[symbol_id] for symbol_id in symbol_ids]
            is_new = [take(p.t, at_ns) for take, p, at_ns in zip(takers, payloads, recv_ns, strict=True)]
            records["price"] = [payload.p for payload in payloads]
            records["size"] = [payload.q for payload in payloads]
            records["side"] = [-1 if payload.m else 1 for payload in payloads]
        else:
            is_new = [self._is_new(*row) for row in zip(payloads, symbol_ids, recv_ns, strict=True)]
            for name, field in (("bid", "b"), ("ask", "a"), ("bid_size", "B"), ("ask_size", "A")):
                records[name] = [getattr(payload, field) for payload in payloads]
        records["ts_event_ns"] = events
        self._rows += (records if all(is_new) else records[is_new]).tobytes()
        self._last_recv_ns = recv_ns[-1]
        for symbol_id, place in {symbol_ids[place]: place for place in np.flatnonzero(is_new).tolist()}.items():
            self._seen_ns[symbol_id], self._last_event_ns[symbol_id] = recv_ns[place], int(events[place])

    def _is_new(self, payload: Any, symbol_id: int, recv_ns: int) -> bool:
        if self._kind == "trades":
            return self._sequences[symbol_id].accept(payload.t, recv_ns)
        last = self._last_quote[symbol_id]
        if payload.u <= last:
            if payload.u == last:
                self._duplicates[symbol_id] += 1
            else:
                self._count("stale_quote")
            return False
        self._last_quote[symbol_id] = payload.u
        return True

    def _on_row(self, payload: Any, symbol_id: int, recv_ns: int) -> None:
        if not self._is_new(payload, symbol_id, recv_ns):
            return
        event_ns = payload.T * _MS or recv_ns
        if self._kind == "trades":
            side = -1 if payload.m else 1  # the buyer was the maker: the seller took the initiative
            self._rows += self._pack(event_ns, recv_ns, symbol_id, payload.p, payload.q, side)
        else:
            self._rows += self._pack(event_ns, recv_ns, symbol_id, payload.b, payload.a, payload.B, payload.A)
        self._last_event_ns[symbol_id] = event_ns
        self._last_recv_ns = self._seen_ns[symbol_id] = recv_ns

    def _on_other(self, raw: bytes | memoryview, recv_ns: int) -> None:
        """Take in what is not a wrapped tick of a known symbol: a bare one, or one that is refused."""
        try:
            payload = self._decode_bare(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._on_control(raw)
            return
        symbol_id = self._ids.get(payload.s)
        if symbol_id is None:
            self._count("unknown_symbol")
        else:
            self._on_row(payload, symbol_id, recv_ns)


class BinanceHistory:
    """Trades by their numbers, over REST.

    Parameters
    ----------
    base : str
        Where the REST interface is, its version included.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._decode = msgspec.json.Decoder(list[HistoricalTrade], strict=False).decode

    async def fetch(self, client: httpx.AsyncClient, gap: Gap) -> list[HistoricalTrade]:
        """Return the trades of a gap, oldest first; at most 50,000, for older ones are of no use to a live feed.

        Raises
        ------
        httpx.HTTPError
            If the server does not answer, or refuses.
        ValueError
            If the answer is not one.
        """
        found: list[HistoricalTrade] = []
        first = gap.after_number + 1
        for _ in range(_PAGES):
            wanted = _PAGE if gap.until_number is None else min(_PAGE, gap.until_number - first + 1)
            query: dict[str, str | int] = {"symbol": gap.symbol, "fromId": first, "limit": wanted}
            answer = await client.get(f"{self._base}/historicalTrades", params=query)
            page = self._decode(answer.raise_for_status().content)
            found += page
            if len(page) < _PAGE:
                break
            first = page[-1].id + 1
        return found


def binance_addresses(universe: Universe, live: LiveSettings, url: str | None) -> tuple[str, str]:
    """Return where Binance's streams are, and its REST interface with its version.

    Raises
    ------
    DataError
        If a symbol is not of Binance's form.
    """
    unlike = [symbol for symbol in universe.symbols if not symbol.isalnum()]
    if unlike:
        raise DataError(f"symbols {unlike} are not Binance's; letters and digits are allowed, e.g. BTCUSDT")
    base = _STREAM_URLS[live.market] if url is None else url
    rest = (_REST_URLS[live.market] if url is None else url.replace("ws", "http", 1)) + _REST_PATHS[live.market]
    return base, rest


def binance_source(universe: Universe, kind: LiveKind, live: LiveSettings, url: str | None) -> Source:
    """Return Binance's stream of trades or best quotes; of trades there is a history.

    Raises
    ------
    DataError
        If a symbol is not of Binance's form.
    """
    base, rest = binance_addresses(universe, live, url)
    return Source(
        name="binance",
        url=f"{base}/stream?streams={'/'.join(streams_of(universe, kind))}",
        decoder=BinanceDecoder(universe, kind),
        history=BinanceHistory(rest) if live.backfill and kind == "trades" else None,
        tells_side=True,
        time_url=f"{rest}/time",
    )
