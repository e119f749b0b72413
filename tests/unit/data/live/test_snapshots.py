"""Snapshots are asked for one at a time, slowly where they fail, and not at all while the vendor forbids it."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable

import httpx
import pytest

from trader.data.live.snapshots import SnapshotTaker
from trader.data.live.troubles import TroubleKind
from trader.settings import LiveSettings

FAST = LiveSettings(backoff_first_s=0.02, backoff_cap_s=0.02, connect_timeout_s=1.0)


class Books:
    """Answers by symbol: True, False, "mute", or an HTTP status that asks for a pause of a minute."""

    def __init__(self, answers: dict[str, list[object]]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.n_open: collections.Counter[str] = collections.Counter()
        self.most_open = 0

    def wanted(self) -> list[str]:
        return [symbol for symbol, left in self.answers.items() if left]

    def gaps(self) -> list[tuple[str, str]]:
        return []

    def forget(self) -> None:
        self.answers.clear()

    async def take(self, client: httpx.AsyncClient, symbol: str) -> bool:
        assert not client.is_closed
        self.asked.append(symbol)
        self.n_open[symbol] += 1
        self.most_open = max(self.most_open, self.n_open[symbol])
        await asyncio.sleep(0.005)
        self.n_open[symbol] -= 1
        answer = self.answers[symbol].pop(0)
        if answer == "mute":
            await asyncio.sleep(60)
        if isinstance(answer, bool):
            return answer
        request = httpx.Request("GET", "http://localhost/depth")
        response = httpx.Response(int(str(answer)), headers={"Retry-After": "60"}, request=request)
        raise httpx.HTTPStatusError("refused", request=request, response=response)


def _run(books: Books, reached: Callable[[], bool]) -> list[tuple[TroubleKind, str, str]]:
    """Return the troubles until then, and for a moment more."""
    troubles: list[tuple[TroubleKind, str, str]] = []

    async def work() -> None:
        taker = SnapshotTaker(books, FAST, lambda kind, detail, symbol, _: troubles.append((kind, detail, symbol)))
        loop = asyncio.get_running_loop()
        give_up, until = loop.time() + 60.0, float("inf")
        while loop.time() < min(until, give_up):
            until = min(until, loop.time() + 0.3) if reached() else until
            taker.look(is_open=True)
            await asyncio.sleep(0.002)
        await taker.close()

    asyncio.run(work())
    return troubles


def test_each_symbol_is_asked_for_until_it_fits() -> None:
    """One request at a time; a snapshot that does not fit is no trouble, one that does not come is."""
    books = Books({"A": [False, False, True], "B": ["mute", 503, True]})
    troubles = _run(books, lambda: not books.wanted())
    assert books.wanted() == []
    assert collections.Counter(books.asked) == {"A": 3, "B": 3}
    assert books.most_open == 1
    assert troubles == [
        ("snapshot_failed", "no answer within 1 s", "B"),
        ("snapshot_failed", "refused with HTTP 503", "B"),
    ]


def test_a_vendor_that_asks_for_a_pause_gets_it() -> None:
    """After a 429 that says for how long, nobody is asked for."""
    books = Books({"A": [429, True]})
    assert [trouble[1] for trouble in _run(books, lambda: bool(books.asked))] == ["refused with HTTP 429"]
    assert books.asked == ["A"]


def test_many_books_do_not_use_up_what_the_vendor_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty at once, and the next when the time for one more has passed."""
    monkeypatch.setattr("trader.data.live.snapshots._EVERY_S", 60.0)
    books = Books({f"S{n}": [True] for n in range(50)})
    _run(books, lambda: len(books.asked) >= 20)
    assert len(books.asked) == 20
