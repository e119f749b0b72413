"""Alpaca's messages as rows of trades and quotes of US stocks; its feed `iex` brings those of the exchange IEX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from trader.core.market import Universe
from trader.data.conditions import Rule
from trader.data.live.arrays import LOT, MOST_AHEAD_NS, SHARES_SINCE_NS, ArrayDecoder, check_symbols, lot_of
from trader.data.live.decoder import LiveKind, Refusal
from trader.data.live.keys import key_from
from trader.data.live.sales import sale_rule
from trader.data.live.source import Gap, Source
from trader.data.live.stamps import StampReader, stamp_text
from trader.settings.live import LiveSettings

if TYPE_CHECKING:
    import httpx

__all__ = ["AlpacaDecoder", "AlpacaHistory", "PastQuote", "PastTrade", "alpaca_source"]

_STREAM_URL = "wss://stream.data.alpaca.markets"
_REST_URL = "https://data.alpaca.markets"
_PAGE = 10_000
_PAGES = 10
_MANY = 16
"""Fewer messages are taken in faster one by one."""
_FINAL = {
    400: "look at feed.symbols",
    402: "look at ALPACA_API_KEY and ALPACA_SECRET_KEY",
    405: "the plan allows fewer symbols; shorten feed.symbols",
    409: "the plan has no such data; feed.live.venue=iex is free",
    410: "the venue has no such data; look at feed.live.venue",
}
_PASSING = {
    406: "another connection uses this key; end it, or wait",
    407: "this machine is too slow for what it asked for",
}


class PastTrade(msgspec.Struct, gc=False):
    """A trade as Alpaca's REST tells it."""

    t: str
    p: float
    s: float
    x: str = ""
    i: int = 0
    c: msgspec.Raw = msgspec.Raw()
    z: msgspec.Raw = msgspec.Raw()


class PastQuote(msgspec.Struct, gc=False):
    """A quote as Alpaca's REST tells it."""

    t: str
    bp: float
    ap: float
    bs: float
    as_: float = msgspec.field(name="as")


class _Trade(msgspec.Struct, gc=False, tag_field="T", tag="t"):
    S: str
    t: str
    p: float
    s: float
    x: str = ""
    i: int = 0


class _SaleTrade(_Trade, gc=False, tag_field="T", tag="t"):
    c: msgspec.Raw = msgspec.Raw()
    z: msgspec.Raw = msgspec.Raw()


class _Quote(msgspec.Struct, gc=False, tag_field="T", tag="q"):
    S: str
    t: str
    bp: float
    ap: float
    bs: float
    as_: float = msgspec.field(name="as")


class _Cancel(msgspec.Struct, gc=False, tag_field="T", tag="x"):
    S: str = ""


class _Correction(msgspec.Struct, gc=False, tag_field="T", tag="c"):
    S: str = ""


class _Success(msgspec.Struct, tag_field="T", tag="success"):
    msg: str = ""


class _Error(msgspec.Struct, tag_field="T", tag="error"):
    code: int = 0
    msg: str = ""


class _Subscription(msgspec.Struct, tag_field="T", tag="subscription"):
    trades: list[str] = []
    quotes: list[str] = []


_Other = _Quote | _Cancel | _Correction | _Success | _Error | _Subscription


class AlpacaDecoder(ArrayDecoder):
    """Turns Alpaca's frames into batches of ticks; see `ArrayDecoder`.

    A trade is known by symbol, exchange, id and time, a quote by time, prices and sizes. Quotes older than the
    newest of their symbol are left out as `stale_quote`. Cancelled and corrected trades are counted as `cancelled` and
    `corrected`; what was taken of them stays. Stamps keep their nanoseconds.

    Parameters
    ----------
    universe : Universe
    kind : {"trades", "quotes"}
    key, secret : str
        Shown to the vendor when it asks for them.
    rule : {"all", "consolidated", "ordinary"}, default="all"
        Which trades may set a price by their sale conditions.
    """

    def __init__(self, universe: Universe, kind: LiveKind, key: str, secret: str, rule: Rule = "all") -> None:
        self._trade = _Trade if rule == "all" else _SaleTrade
        super().__init__(universe, kind, self._trade | _Other, sale_rule(rule, "letters"))
        self._auth = msgspec.json.encode({"action": "auth", "key": key, "secret": secret})
        self._subscribe = msgspec.json.encode({"action": "subscribe", kind: list(universe.symbols)})
        self._stamps = StampReader()

    def on_history(self, symbol_id: int, rows: Iterable[PastTrade | PastQuote], now_ns: int) -> int:
        """Take in rows fetched over REST, oldest first; return how many were missing."""
        rows = list(rows)
        missing: list[tuple[Any, ...]] = []
        for row, event_ns in zip(rows, self._stamps.read_many([row.t for row in rows]), strict=True):
            if event_ns < 0:
                self._count("malformed")
            elif isinstance(row, PastTrade):
                is_new = self._seen.add((symbol_id, event_ns, row.i, row.x))
                if is_new and self._passes(row.c, row.z, symbol_id):
                    missing.append((event_ns, symbol_id, row.p, row.s, 0))
            elif self._seen.add((symbol_id, event_ns, row.bp, row.ap, row.bs, row.as_)):
                lot = lot_of(event_ns)
                missing.append((event_ns, symbol_id, row.bp, row.ap, lot * row.bs, lot * row.as_))
        self._put_first(missing, now_ns)
        return len(missing)

    def _take_trades(self, messages: Sequence[Any], recv_ns: int) -> list[Any]:
        trades, others = self._sorted(messages, self._trade)
        if len(trades) >= _MANY and self._take_trades_at_once(trades, recv_ns):
            return others
        ids, pack, is_new, last_ns = self._ids, self._pack, self._seen.add, self._last_event_ns
        rows, came, takes_all = self._rows, list[int](), self._sales is None
        for trade, event_ns in zip(trades, self._stamps.read_many([trade.t for trade in trades]), strict=True):
            symbol_id = ids.get(trade.S)
            if symbol_id is None or event_ns < 0:
                self._count("unknown_symbol" if symbol_id is None else "malformed")
            elif not is_new((symbol_id, event_ns, trade.i, trade.x)):
                self._duplicates[symbol_id] += 1
            else:
                if takes_all or self._passes(trade.c, trade.z, symbol_id):
                    # The tape does not say who took the initiative.
                    rows += pack(event_ns, recv_ns, symbol_id, trade.p, trade.s, 0)
                came.append(symbol_id)
                if last_ns[symbol_id] < event_ns < recv_ns + MOST_AHEAD_NS:
                    last_ns[symbol_id] = event_ns
                recv_ns += 1
        self._came(came, recv_ns - 1)
        return others

    def _take_quotes(self, messages: Sequence[Any], recv_ns: int) -> list[Any]:
        quotes, others = self._sorted(messages, _Quote)
        if len(quotes) >= _MANY and self._take_quotes_at_once(quotes, recv_ns):
            return others
        ids, pack, is_new, last_ns = self._ids, self._pack, self._seen.add, self._last_event_ns
        rows, came = self._rows, list[int]()
        for quote, event_ns in zip(quotes, self._stamps.read_many([quote.t for quote in quotes]), strict=True):
            symbol_id = ids.get(quote.S)
            if symbol_id is None or event_ns < 0:
                self._count("unknown_symbol" if symbol_id is None else "malformed")
                continue
            bid, ask, bid_size, ask_size = quote.bp, quote.ap, quote.bs, quote.as_
            if not is_new((symbol_id, event_ns, bid, ask, bid_size, ask_size)):
                self._duplicates[symbol_id] += 1
            elif event_ns < last_ns[symbol_id]:
                self._count("stale_quote")
            else:
                lot = 1.0 if event_ns >= SHARES_SINCE_NS else LOT
                rows += pack(event_ns, recv_ns, symbol_id, bid, ask, lot * bid_size, lot * ask_size)
                came.append(symbol_id)
                if last_ns[symbol_id] < event_ns < recv_ns + MOST_AHEAD_NS:
                    last_ns[symbol_id] = event_ns
                recv_ns += 1
        self._came(came, recv_ns - 1)
        return others

    def _take_trades_at_once(self, trades: Sequence[Any], recv_ns: int) -> bool:
        """Take in trades if there is nothing about any of them, and return whether they were."""
        symbol_ids = [self._ids.get(trade.S, -1) for trade in trades]
        events = self._stamps.read_many([trade.t for trade in trades])
        keys = list(zip(symbol_ids, events, [trade.i for trade in trades], [trade.x for trade in trades], strict=True))
        if not self._are_known(symbol_ids, events, recv_ns) or not self._seen.add_all(keys):
            return False
        price, size, kept = [trade.p for trade in trades], [trade.s for trade in trades], None
        if self._sales is not None:
            kept = [self._passes(trade.c, trade.z, n) for trade, n in zip(trades, symbol_ids, strict=True)]
        self._add(symbol_ids, events, recv_ns, kept, price=price, size=size, side=0)
        return True

    def _take_quotes_at_once(self, quotes: Sequence[_Quote], recv_ns: int) -> bool:
        """Take in quotes if there is nothing about any of them, and return whether they were."""
        symbol_ids = [self._ids.get(quote.S, -1) for quote in quotes]
        events = self._stamps.read_many([quote.t for quote in quotes])
        bid, ask = [quote.bp for quote in quotes], [quote.ap for quote in quotes]
        bid_size, ask_size = [quote.bs for quote in quotes], [quote.as_ for quote in quotes]
        keys = list(zip(symbol_ids, events, bid, ask, bid_size, ask_size, strict=True))
        is_plain = self._are_known(symbol_ids, events, recv_ns) and self._are_rising(symbol_ids, events)
        if not is_plain or not self._seen.add_all(keys):
            return False
        lots = np.where(np.array(events) < SHARES_SINCE_NS, LOT, 1.0)
        self._add(symbol_ids, events, recv_ns, bid=bid, ask=ask, bid_size=lots * bid_size, ask_size=lots * ask_size)
        return True

    def _on_other(self, message: Any) -> bytes | None:
        match message:
            case _Success(msg="connected"):
                return self._auth
            case _Success(msg="authenticated"):
                self.refusal = None
                return self._subscribe
            case _Subscription():
                self._look_at(getattr(message, self._kind))
            case _Error():
                advice = _FINAL.get(message.code) or _PASSING.get(message.code)
                text = f"{message.msg} (error {message.code})" + (f"; {advice}" if advice else "")
                self.refusal = Refusal(text, is_final=message.code in _FINAL)
            case _Cancel():
                self._count("cancelled")
            case _Correction():
                self._count("corrected")
            case _Trade() | _Quote():
                self._count("unexpected")
        return None

    def _look_at(self, subscribed: Sequence[str]) -> None:
        """Note the symbols that the vendor did not take up."""
        missing = [symbol for symbol in self._symbols if symbol not in subscribed]
        if missing and "*" not in subscribed:
            self._count("not_subscribed", len(missing))
            text = f"{self._kind} of {', '.join(missing)} are not to be had; look at feed.symbols"
            self.refusal = Refusal(text, is_final=len(missing) == len(self._symbols))


class _Page(msgspec.Struct):
    trades: dict[str, list[PastTrade]] | None = None
    quotes: dict[str, list[PastQuote]] | None = None
    next_page_token: str | None = None


class AlpacaHistory:
    """Trades or quotes by their times, over REST.

    Parameters
    ----------
    base : str
        Where the REST interface is.
    kind : {"trades", "quotes"}
    venue : {"iex", "sip"}
    key, secret : str
    """

    def __init__(self, base: str, kind: LiveKind, venue: str, key: str, secret: str) -> None:
        self._url = f"{base}/v2/stocks/{kind}"
        self._kind = kind
        self._venue = venue
        self._headers: Mapping[str, str] = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
        self._decode = msgspec.json.Decoder(_Page, strict=False).decode

    async def fetch(self, client: httpx.AsyncClient, gap: Gap) -> list[Any]:
        """Return the rows from the beginning of a gap up to now, oldest first.

        Raises
        ------
        httpx.HTTPError
            If the server does not answer, or refuses.
        ValueError
            If the answer is not one, or there are more than 100,000 rows.
        """
        found: list[Any] = []
        query: dict[str, str | int] = {"symbols": gap.symbol, "start": stamp_text(gap.after_ns), "feed": self._venue}
        query |= {"limit": _PAGE, "sort": "asc"}
        for _ in range(_PAGES):
            answer = await client.get(self._url, params=query, headers=self._headers)
            page = self._decode(answer.raise_for_status().content)
            found += (getattr(page, self._kind) or {}).get(gap.symbol, ())
            if page.next_page_token is None:
                return found
            query["page_token"] = page.next_page_token
        raise ValueError(f"there are more than {_PAGE * _PAGES:,} rows")


def alpaca_source(
    universe: Universe, kind: LiveKind, live: LiveSettings, url: str | None, rule: Rule = "all"
) -> Source:
    """Return Alpaca's stream of trades or quotes of US stocks; its test stream has no history.

    Trades that may set no price under the rule are left out.

    Raises
    ------
    SettingsError
        If `ALPACA_API_KEY` or `ALPACA_SECRET_KEY` is not set.
    DataError
        If a symbol is not of the form of US stocks.
    """
    check_symbols(universe, "Alpaca")
    key, secret = key_from("ALPACA_API_KEY", "Alpaca"), key_from("ALPACA_SECRET_KEY", "Alpaca")
    rest = _REST_URL if url is None else url.replace("ws", "http", 1)
    has_history = live.backfill and live.venue != "test"
    return Source(
        name="alpaca",
        url=f"{_STREAM_URL if url is None else url}/v2/{live.venue}",
        decoder=AlpacaDecoder(universe, kind, key, secret, rule),
        history=AlpacaHistory(rest, kind, live.venue, key, secret) if has_history else None,
        is_alone=True,
    )
