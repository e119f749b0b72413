"""Massive's messages (Polygon until October 2025) as rows of trades and quotes of US stocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import msgspec

from trader.core.market import Universe
from trader.data.conditions import Rule
from trader.data.live.arrays import LOT, MOST_AHEAD_NS, SHARES_SINCE_NS, ArrayDecoder, check_symbols, lot_of
from trader.data.live.decoder import LiveKind, Refusal
from trader.data.live.keys import key_from
from trader.data.live.sales import sale_rule
from trader.data.live.source import Gap, Source
from trader.settings.live import LiveSettings

if TYPE_CHECKING:
    import httpx

__all__ = ["MassiveDecoder", "MassiveHistory", "PastQuote", "PastTrade", "massive_source"]

_STREAM_URL = "wss://socket.massive.com"
_REST_URL = "https://api.massive.com"
_MS = 1_000_000
_DAY_MS = 86_400_000
_PAGE = 50_000
_PAGES = 4
_TOPICS: Mapping[LiveKind, str] = {"trades": "T", "quotes": "Q"}
_FINAL = {
    "auth_failed": "look at MASSIVE_API_KEY",
    "not_authorized": "the plan has no such data; look at feed.data_kind and the plan",
}
_PASSING = {"max_connections": "another connection uses this key; end it, or wait"}
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=7_258_118_400_000)]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**48)]
_NO_TAPE = msgspec.Raw()
"""The ids mean the same on every tape."""
_Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=7_258_118_400_000_000_000)]


class PastTrade(msgspec.Struct, gc=False):
    """A trade as Massive's REST tells it."""

    sip_timestamp: _Nanoseconds
    price: float
    sequence_number: _Number
    size: float = 0.0
    decimal_size: float | None = None
    conditions: msgspec.Raw = msgspec.Raw()


class PastQuote(msgspec.Struct, gc=False):
    """A quote as Massive's REST tells it; a side that is missing has no price."""

    sip_timestamp: _Nanoseconds
    sequence_number: _Number
    bid_price: float = 0.0
    ask_price: float = 0.0
    bid_size: float = 0.0
    ask_size: float = 0.0


class _Trade(msgspec.Struct, gc=False, tag_field="ev", tag="T"):
    sym: str
    p: float
    t: _Milliseconds
    q: _Number
    s: float = 0.0
    ds: float | None = None


class _SaleTrade(_Trade, gc=False, tag_field="ev", tag="T"):
    c: msgspec.Raw = msgspec.Raw()


class _Quote(msgspec.Struct, gc=False, tag_field="ev", tag="Q"):
    sym: str
    t: _Milliseconds
    q: _Number
    bp: float = 0.0
    ap: float = 0.0
    bs: float = 0.0
    as_: float = msgspec.field(name="as", default=0.0)


class _Status(msgspec.Struct, tag_field="ev", tag="status"):
    status: str = ""
    message: str = ""


_Other = _Quote | _Status


class MassiveDecoder(ArrayDecoder):
    """Turns Massive's frames into batches of ticks; see `ArrayDecoder`.

    Sequence numbers rise within a symbol and a day, but not by one: a repeat is left out, a trade that steps back
    counts as `came_late`, a quote that does is left out as `stale_quote`. Sizes of trades are taken with their
    fractions. Stamps are those of the tape, in milliseconds; over REST in nanoseconds.

    Parameters
    ----------
    universe : Universe
    kind : {"trades", "quotes"}
    key : str
        Shown to the vendor when it asks for it.
    rule : {"all", "consolidated", "ordinary"}, default="all"
        Which trades may set a price by their sale conditions.
    """

    def __init__(self, universe: Universe, kind: LiveKind, key: str, rule: Rule = "all") -> None:
        self._trade = _Trade if rule == "all" else _SaleTrade
        super().__init__(universe, kind, self._trade | _Other, sale_rule(rule, "massive"))
        self._auth = msgspec.json.encode({"action": "auth", "params": key})
        topics = ",".join(f"{_TOPICS[kind]}.{symbol}" for symbol in universe.symbols)
        self._subscribe = msgspec.json.encode({"action": "subscribe", "params": topics})
        self._last_number = [0] * len(universe)

    def on_history(self, symbol_id: int, rows: Iterable[PastTrade | PastQuote], now_ns: int) -> int:
        """Take in rows fetched over REST, oldest first; return how many were missing."""
        missing: list[tuple[Any, ...]] = []
        for row in rows:
            event_ns = row.sip_timestamp
            if not self._seen.add((symbol_id, _number(event_ns // _MS, row.sequence_number))):
                continue
            if isinstance(row, PastTrade):
                if self._passes(row.conditions, _NO_TAPE, symbol_id):
                    size = row.size if row.decimal_size is None else row.decimal_size
                    missing.append((event_ns, symbol_id, row.price, size, 0))
            else:
                lot = lot_of(event_ns)
                missing.append(
                    (event_ns, symbol_id, row.bid_price, row.ask_price, lot * row.bid_size, lot * row.ask_size)
                )
        self._put_first(missing, now_ns)
        return len(missing)

    def _take_trades(self, messages: Sequence[Any], recv_ns: int) -> list[Any]:
        trades, others = self._sorted(messages, self._trade)
        ids, pack, is_new, last_ns = self._ids, self._pack, self._seen.add, self._last_event_ns
        rows, came, last_number, takes_all = self._rows, list[int](), self._last_number, self._sales is None
        for trade in trades:
            symbol_id = ids.get(trade.sym)
            if symbol_id is None:
                self._count("unknown_symbol")
                continue
            number = _number(trade.t, trade.q)
            if not is_new((symbol_id, number)):
                self._duplicates[symbol_id] += 1
                continue
            if number < last_number[symbol_id]:
                self._late[symbol_id] += 1
            else:
                last_number[symbol_id] = number
            event_ns = trade.t * _MS
            if takes_all or self._passes(trade.c, _NO_TAPE, symbol_id):
                size = trade.s if trade.ds is None else trade.ds
                # The tape does not say who took the initiative.
                rows += pack(event_ns, recv_ns, symbol_id, trade.p, size, 0)
            came.append(symbol_id)
            if last_ns[symbol_id] < event_ns < recv_ns + MOST_AHEAD_NS:
                last_ns[symbol_id] = event_ns
            recv_ns += 1
        self._came(came, recv_ns - 1)
        return others

    def _take_quotes(self, messages: Sequence[Any], recv_ns: int) -> list[Any]:
        quotes, others = self._sorted(messages, _Quote)
        ids, pack, is_new, last_ns = self._ids, self._pack, self._seen.add, self._last_event_ns
        rows, came, last_number = self._rows, list[int](), self._last_number
        for quote in quotes:
            symbol_id = ids.get(quote.sym)
            if symbol_id is None:
                self._count("unknown_symbol")
                continue
            number = _number(quote.t, quote.q)
            if not is_new((symbol_id, number)):
                self._duplicates[symbol_id] += 1
                continue
            if number < last_number[symbol_id]:
                self._count("stale_quote")
                continue
            last_number[symbol_id] = number
            event_ns = quote.t * _MS
            lot = 1.0 if event_ns >= SHARES_SINCE_NS else LOT
            rows += pack(event_ns, recv_ns, symbol_id, quote.bp, quote.ap, lot * quote.bs, lot * quote.as_)
            came.append(symbol_id)
            if last_ns[symbol_id] < event_ns < recv_ns + MOST_AHEAD_NS:
                last_ns[symbol_id] = event_ns
            recv_ns += 1
        self._came(came, recv_ns - 1)
        return others

    def _on_other(self, message: Any) -> bytes | None:
        if not isinstance(message, _Status):
            self._count("unexpected")
        elif message.status == "connected":
            return self._auth
        elif message.status == "auth_success":
            self.refusal = None
            return self._subscribe
        elif message.status != "success":
            name = "not_authorized" if "not authorized" in message.message.lower() else message.status
            advice = _FINAL.get(name) or _PASSING.get(name)
            text = f"{message.message or name} ({message.status})" + (f"; {advice}" if advice else "")
            self.refusal = Refusal(text, is_final=name in _FINAL)
            self._count("refused")
        return None


def _number(ms: int, q: int) -> int:
    """Return a number that rises from day to day, for the vendor's begin anew."""
    return ms // _DAY_MS << 48 | q


class _Page(msgspec.Struct):
    results: list[msgspec.Raw] = []
    next_url: str | None = None


class MassiveHistory:
    """Trades or quotes by their times, over REST.

    Parameters
    ----------
    base : str
        Where the REST interface is.
    kind : {"trades", "quotes"}
    key : str
    """

    def __init__(self, base: str, kind: LiveKind, key: str) -> None:
        self._base = base
        self._kind = kind
        self._headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"}
        self._decode_page = msgspec.json.Decoder(_Page).decode
        row = PastTrade if kind == "trades" else PastQuote
        self._decode: Callable[[Any], Any] = msgspec.json.Decoder(row, strict=False).decode

    async def fetch(self, client: httpx.AsyncClient, gap: Gap) -> list[Any]:
        """Return the rows from the beginning of a gap up to now, oldest first.

        Raises
        ------
        httpx.HTTPError
            If the server does not answer, or refuses.
        ValueError
            If the answer is not one, or there are more than 200,000 rows.
        """
        found: list[Any] = []
        query = {"timestamp.gte": str(gap.after_ns), "order": "asc", "sort": "timestamp", "limit": str(_PAGE)}
        url = f"{self._base}/v3/{self._kind}/{gap.symbol}?{urlencode(query)}"
        for _ in range(_PAGES):
            answer = await client.get(url, headers=self._headers)
            page = self._decode_page(answer.raise_for_status().content)
            found += map(self._decode, page.results)
            if page.next_url is None:
                return found
            if not page.next_url.startswith(f"{self._base}/"):
                raise ValueError(f"the next page is at another address than {self._base}; the key is not sent there")
            url = page.next_url
        raise ValueError(f"there are more than {_PAGE * _PAGES:,} rows")


def massive_source(
    universe: Universe, kind: LiveKind, live: LiveSettings, url: str | None, rule: Rule = "all"
) -> Source:
    """Return Massive's stream of trades or quotes of US stocks.

    Trades that may set no price under the rule are left out.

    Raises
    ------
    SettingsError
        If `MASSIVE_API_KEY` is not set.
    DataError
        If a symbol is not of the form of US stocks.
    """
    check_symbols(universe, "Massive")
    key = key_from("MASSIVE_API_KEY", "Massive")
    rest = _REST_URL if url is None else url.replace("ws", "http", 1)
    return Source(
        name="massive",
        url=f"{_STREAM_URL if url is None else url}/stocks",
        decoder=MassiveDecoder(universe, kind, key, rule),
        history=MassiveHistory(rest, kind, key) if live.backfill else None,
        is_alone=True,
    )
