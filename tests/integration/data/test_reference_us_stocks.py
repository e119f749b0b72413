"""Alpaca's and Massive's side of the wire, as raw clients see it: what they say, refuse, and tell over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.live import BEGIN_MS, serving
from tests.support.live_vendors import KEYS, VENDORS
from trader.core.market import Universe
from trader.data.live import alpaca, massive
from trader.data.live.alpaca import alpaca_source
from trader.data.live.massive import massive_source
from trader.data.live.reference import alpaca as alpaca_wire
from trader.data.live.reference import server as reference_server
from trader.data.live.reference.protocol import Keys
from trader.data.live.source import Gap, Source
from trader.settings import LiveSettings

N = 50


def _say(client: ClientConnection, **command: object) -> Any:
    client.send(msgspec.json.encode(command))
    return _hear(client)


def _hear(client: ClientConnection) -> Any:
    return msgspec.json.decode(client.recv(timeout=60))


def _alpaca_error(code: int, text: str) -> list[dict[str, object]]:
    return [{"T": "error", "code": code, "msg": text}]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Keys:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    return Keys(KEYS["ALPACA_API_KEY"], KEYS["ALPACA_SECRET_KEY"])


def test_alpacas_dialogue(tmp_path: Path, keys: Keys) -> None:
    """Each step and each wrong step, with the vendor's code."""
    capture = VENDORS["alpaca"].write(tmp_path / "c", "trades", N)
    login = {"action": "auth", "key": keys.key, "secret": keys.secret}
    with serving(capture, protocol="alpaca", keys=keys, speed=0.0, stamps="recorded") as server:
        with connect(server.url + "/v2/iex") as client:
            assert _hear(client) == [{"T": "success", "msg": "connected"}]
            assert _say(client, action="subscribe", trades=["AAPL"]) == _alpaca_error(401, "not authenticated")
            assert _say(client, action="fly") == _alpaca_error(400, "invalid syntax")
            assert _say(client, **login) == [{"T": "success", "msg": "authenticated"}]
            assert _say(client, **login) == _alpaca_error(403, "already authenticated")
            with connect(server.url + "/v2/iex") as second:
                assert _hear(second) == [{"T": "success", "msg": "connected"}]
                assert _say(second, **login) == _alpaca_error(406, "connection limit exceeded")
            many = [f"S{n}" for n in range(31)]
            assert _say(client, action="subscribe", trades=many) == _alpaca_error(405, "symbol limit exceeded")
            answer = _say(client, action="subscribe", trades=["AAPL"], quotes=["MSFT"])
            assert answer[0] | {"T": "subscription", "trades": ["AAPL"], "quotes": ["MSFT"]} == answer[0]
            came: list[Any] = []
            while len(came) < N:
                came += _hear(client)
            assert [message["i"] for message in came] == list(range(1, N + 1))
            assert _say(client, action="unsubscribe", trades=["AAPL"])[0]["trades"] == []
        with connect(server.url + "/v2/iex") as third:  # the first has left
            _hear(third)
            assert _say(third, **login) == [{"T": "success", "msg": "authenticated"}]


def test_massives_dialogue(tmp_path: Path) -> None:
    """Each step and each wrong step, with the vendor's status."""
    capture = VENDORS["massive"].write(tmp_path / "c", "trades", N)
    with serving(capture, protocol="massive", keys=Keys("k"), speed=0.0, stamps="recorded") as server:
        with connect(server.url + "/stocks") as client:
            assert _hear(client)[0]["status"] == "connected"
            assert _say(client, action="subscribe", params="T.AAPL")[0]["status"] == "auth_failed"
        with connect(server.url + "/stocks") as client:
            _hear(client)
            assert _say(client, action="auth", params="k")[0]["status"] == "auth_success"
            with connect(server.url + "/stocks") as second:
                _hear(second)
                assert _say(second, action="auth", params="k")[0]["status"] == "max_connections"
            assert _say(client, action="fly")[0] == {
                "ev": "status",
                "status": "error",
                "message": "unknown action: fly",
            }
            told = _say(client, action="subscribe", params="T.AAPL, X.AAPL")
            assert [status["message"] for status in told] == ["subscribed to: T.AAPL", "invalid subscription: X.AAPL"]
            came: list[Any] = []
            while len(came) < N:
                came += _hear(client)
            assert [message["q"] for message in came] == list(range(3, 3 * N + 1, 3))


@pytest.mark.parametrize(("name", "path", "why"), [("alpaca", "/v2/sip", 404), ("massive", "/stocks", "auth_timeout")])
def test_who_shows_no_key_is_sent_away(
    name: str, path: str, why: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while, with a reason."""
    monkeypatch.setattr(reference_server, "_PATIENCE_S", 0.1)
    with (
        serving(VENDORS[name].write(tmp_path / "c", "trades", 5), protocol=name) as server,
        connect(server.url + path) as client,
    ):
        _hear(client)
        assert why in _hear(client)[0].values()


async def _fetch(source: Source, after_ms: int) -> list[Any]:
    assert source.history is not None
    async with httpx.AsyncClient(timeout=60) as client:
        return await source.history.fetch(client, Gap("AAPL", 0, after_ms * 1_000_000, 2**62))


@pytest.mark.parametrize("kind", ["trades", "quotes"])
@pytest.mark.parametrize("name", ["alpaca", "massive"])
async def test_histories_come_in_pages(
    name: str, kind: Any, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the beginning of the gap on, oldest first, those that were skipped too; too many are refused."""
    monkeypatch.setattr(alpaca if name == "alpaca" else massive, "_PAGE", 12)
    make = alpaca_source if name == "alpaca" else massive_source
    allowed = keys if name == "alpaca" else Keys(KEYS["MASSIVE_API_KEY"])
    capture = VENDORS[name].write(tmp_path / "c", kind, N, step_ms=2)
    with serving(capture, "skip:9@20", protocol=name, keys=allowed, speed=0.0, stamps="recorded") as server:
        source = make(Universe(("AAPL",)), kind, LiveSettings(), server.url)
        with connect(source.url) as client:
            answer = source.decoder.on_message(client.recv(timeout=60, decode=False), 1)
            while len(source.decoder) < N - 9:
                if answer is not None:
                    client.send(answer)
                answer = source.decoder.on_message(client.recv(timeout=60, decode=False), 2)
        rows = await _fetch(source, BEGIN_MS + 20)
        assert len(rows) == 40
        assert source.decoder.on_history(0, rows, BEGIN_MS * 1_000_000 + 10**9) == 9
        monkeypatch.setattr(alpaca if name == "alpaca" else massive, "_PAGES", 2)
        with pytest.raises(ValueError, match="more than"):
            await _fetch(source, BEGIN_MS)


async def test_histories_need_the_key(tmp_path: Path, keys: Keys) -> None:
    """What REST says to a wrong one names no key."""
    for name, make, status in (("alpaca", alpaca_source, 403), ("massive", massive_source, 401)):
        with serving(VENDORS[name].write(tmp_path / name, "trades", 5), protocol=name, keys=Keys("x", "y")) as server:
            source = make(Universe(("AAPL",)), "trades", LiveSettings(), server.url)
            with pytest.raises(httpx.HTTPStatusError, match=str(status)) as caught:
                await _fetch(source, BEGIN_MS)
            assert not any(key in str(caught.value) for key in KEYS.values())


async def test_the_key_is_not_sent_elsewhere(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A next page at another host is not fetched."""
    monkeypatch.setattr(massive, "_PAGE", 2)
    with serving(VENDORS["massive"].write(tmp_path / "c", "trades", 5), protocol="massive", speed=0.0) as server:
        source = massive_source(
            Universe(("AAPL",)), "trades", LiveSettings(), server.url.replace("127.0.0.1", "localhost")
        )
        with connect(server.url + "/stocks") as client:
            _hear(client)
            _say(client, action="auth", params="k")
            _say(client, action="subscribe", params="T.AAPL")
            _hear(client)
        history = source.history
        assert history is not None
        client_of_elsewhere = httpx.AsyncClient(timeout=60, event_hooks={"request": [_as_other_host]})
        async with client_of_elsewhere as client_:
            with pytest.raises(ValueError, match="the key is not sent there"):
                await history.fetch(client_, Gap("AAPL", 0, 0, 2**62))


async def _as_other_host(request: httpx.Request) -> None:
    request.headers["Host"] = "elsewhere.invalid"


def test_only_the_venues_streams_are_served(tmp_path: Path) -> None:
    """The paths of the protocol, and no others."""
    assert alpaca_wire.AlpacaProtocol(Keys()).is_known("/v2/iex")
    assert not alpaca_wire.AlpacaProtocol(Keys()).is_known("/v2/otc")
