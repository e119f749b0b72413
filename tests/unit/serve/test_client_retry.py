"""The client against a server that misbehaves on purpose, in a time of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from serve.client import AsyncClient, Client
from serve.client_calls import any_call, explain_call, health_call, models_call
from serve.client_errors import (
    HttpConflictError,
    HttpDataError,
    HttpError,
    HttpNotFoundError,
    HttpOperationError,
    HttpUnavailableError,
)
from serve.client_retry import Call, Exchange, RetrySettings, Times
from tests.support.naughty import Action, Naughty, breaks_off, drops, hangs, says, trickles
from trader.core.errors import ServiceUnavailableError

KINDS = ["threads", "asyncio"]


@pytest.fixture(scope="module")
def running() -> Iterator[Naughty]:
    with Naughty() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def server(running: Naughty) -> Naughty:
    running.does(says(200))
    return running


class FakeTime:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def options(self, kind: str) -> dict[str, Any]:
        sleep = self.sleep if kind == "threads" else self.sleep_async
        return {"clock": lambda: self.now, "sleep": sleep, "rng": np.random.default_rng(7)}


def ask(kind: str, url: str, name: str, *arguments: Any, **options: Any) -> Any:
    """Call a method of either client."""
    keywords = {"repeatable": options.pop("repeatable")} if "repeatable" in options else {}
    if kind == "threads":
        with Client(url, **options) as client:
            return getattr(client, name)(*arguments, **keywords)

    async def main() -> Any:
        async with AsyncClient(url, **options) as client:
            return await getattr(client, name)(*arguments, **keywords)

    return asyncio.run(main())


BUSY = says(503, b"")
GET = ("request", "GET", "/v1/anything")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", [drops, breaks_off, BUSY, says(429), says(502, b"<html>"), says(504)])
def test_a_passing_trouble_is_not_noticed(server: Naughty, kind: str, trouble: Action) -> None:
    """Dropped connections and answers that pass are asked again, under the same request id, with less time left."""
    server.does(trouble, trouble, says(200))
    times = FakeTime()
    assert ask(kind, server.url, *GET, **times.options(kind)) == {"ok": True}
    assert len(server.seen) == 3
    assert len({headers["X-Request-ID"] for _, headers, _ in server.seen}) == 1
    left = [int(headers["X-Request-Deadline-Ms"]) for _, headers, _ in server.seen]
    assert left[0] == 10_000
    assert left[1:] == [int((10.0 - sum(times.slept[:n])) * 1000) for n in (1, 2)]
    assert 0.0 < times.slept[0] < 0.05
    assert 0.0 < times.slept[1] < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_retries_are_counted(server: Naughty, kind: str) -> None:
    """After the retries the last problem is raised, and says how often it was tried."""
    problem = {
        "type": "urn:x",
        "detail": "no replica",
        "request_id": "abc",
        "errors": [{"pointer": "#", "detail": "d"}],
    }
    server.does(says(503, orjson.dumps(problem)))
    with pytest.raises(HttpUnavailableError, match=r"^no replica$") as caught:
        ask(kind, server.url, *GET, retries=2, **FakeTime().options(kind))
    assert isinstance(caught.value, ServiceUnavailableError)
    assert (caught.value.status, caught.value.type, caught.value.attempts) == (503, "urn:x", 3)
    assert caught.value.request_id == "abc"
    assert caught.value.errors == (("#", "d"),)
    assert len(server.seen) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_pauses_are_seeded_and_bounded(server: Naughty, kind: str) -> None:
    """Pauses are drawn from zero to a bound that doubles up to its maximum; the same seed draws the same."""
    server.does(BUSY)
    runs = []
    for _ in range(2):
        times = FakeTime()
        with pytest.raises(HttpUnavailableError):
            ask(kind, server.url, *GET, retries=8, pause_s=0.1, max_pause_s=1.0, **times.options(kind))
        runs.append(times.slept)
    assert runs[0] == runs[1]
    bounds = [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]
    assert runs[0] == [float(rng) for rng in _draws(bounds)]


def _draws(bounds: list[float]) -> list[float]:
    rng = np.random.default_rng(7)
    return [float(rng.uniform(0.0, bound)) for bound in bounds]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("retry_after", "asked_s"),
    [("2", 2.0), ("Thu, 01 Jan 1970 00:01:43 GMT", 3.0), ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0), ("soon", 0.0)],
)
def test_retry_after_is_honoured(server: Naughty, kind: str, retry_after: str, asked_s: float) -> None:
    """Seconds or a date are waited for, and a little longer; what is neither is ignored."""
    server.does(says(503, b"", Retry_After=retry_after), says(200))
    times = FakeTime()
    ask(kind, server.url, *GET, wall_clock=lambda: 100.0, **times.options(kind))
    assert asked_s < times.slept[0] < asked_s + 0.05


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("retry_after", ["10", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_wait_beyond_the_deadline(server: Naughty, kind: str, retry_after: str) -> None:
    """If the server asks for more time than there is, its answer is the last."""
    server.does(says(503, b"", Retry_After=retry_after))
    times = FakeTime()
    with pytest.raises(HttpUnavailableError, match="503 Service Unavailable without a problem document"):
        ask(kind, server.url, *GET, **times.options(kind))
    assert times.slept == []
    assert len(server.seen) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_deadline_ends_retries(server: Naughty, kind: str) -> None:
    """Attempts end where the pause would pass the deadline, however many are left."""
    server.does(says(429, b"", Retry_After="3"))
    times = FakeTime()
    with pytest.raises(HttpUnavailableError) as caught:
        ask(kind, server.url, *GET, retries=99, **times.options(kind))
    assert caught.value.attempts == 4
    assert 9.0 < times.now < 10.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_hung_attempt_is_given_up_for_another(server: Naughty, kind: str) -> None:
    """One attempt may not eat the deadline."""
    server.does(hangs, says(200))
    assert ask(kind, server.url, *GET, attempt_timeout_s=0.5, timeout_s=60.0, retries=20, pause_s=0.001) == {"ok": True}
    assert len(server.seen) >= 2


@pytest.mark.parametrize(
    ("call", "settings", "limit_s"),
    [
        (models_call(), RetrySettings(), 5.0),
        (models_call(), RetrySettings(attempt_timeout_s=3.0), 3.0),
        (models_call(), RetrySettings(retries=0), 9.0),
        (health_call("/readyz"), RetrySettings(), 9.0),
        (any_call("POST", "/v1/change", {}, None), RetrySettings(), 9.0),
        (explain_call(["a"], ["A"], [[1.0]], None, {}), RetrySettings(), 9.0),
    ],
)
def test_what_is_not_repeated_may_take_all_the_time(call: Call[Any], settings: RetrySettings, limit_s: float) -> None:
    """Half of the deadline an attempt; all that is left where there is no other, or it would be computed again."""
    times = FakeTime()
    exchange = Exchange(call, settings, Times(np.random.default_rng(7), lambda: times.now), "http://a")
    times.sleep(1.0)
    assert exchange.limit_s() == limit_s
    times.sleep(99.0)
    assert exchange.limit_s() == 0.001
    assert exchange.headers()["X-Request-Deadline-Ms"] == "1"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", [hangs, trickles])
def test_the_deadline_holds_within_an_answer(server: Naughty, kind: str, trouble: Action) -> None:
    """An answer that does not begin, or does not end, is a timeout; the message says what was asked of whom."""
    server.does(trouble)
    with pytest.raises(HttpUnavailableError, match=rf"^GET {server.url}/v1/anything was not answered") as caught:
        ask(kind, server.url, *GET, timeout_s=0.1, retries=0)
    assert caught.value.status is None
    assert len(caught.value.request_id) == 36


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", [drops, breaks_off, BUSY, says(429)])
@pytest.mark.parametrize(("method", "repeatable"), [("POST", None), ("PUT", None), ("GET", False)])
def test_a_change_is_not_sent_twice(
    server: Naughty, kind: str, trouble: Action, method: str, repeatable: bool | None
) -> None:
    """What changes something is sent once, whatever is answered."""
    server.does(trouble)
    with pytest.raises(HttpUnavailableError) as caught:
        ask(kind, server.url, "request", method, "/v1/change", {}, repeatable=repeatable)
    assert len(server.seen) == caught.value.attempts == 1
    assert (caught.value.status is None) == ("not known whether" in str(caught.value))


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_that_was_not_sent_is_sent_again(kind: str) -> None:
    """A refused connection has sent nothing, so it is tried again, whatever was asked."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    times = FakeTime()
    with pytest.raises(HttpUnavailableError, match="4 attempts; the last ended with ConnectError") as caught:
        ask(kind, f"http://127.0.0.1:{port}", "request", "POST", "/v1/change", {}, **times.options(kind))
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert len(times.slept) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, HttpOperationError),
        (400, HttpDataError),
        (401, HttpOperationError),
        (404, HttpNotFoundError),
        (409, HttpConflictError),
        (413, HttpDataError),
        (422, HttpDataError),
        (500, HttpOperationError),
        (599, HttpOperationError),
    ],
)
def test_other_answers_are_final(server: Naughty, kind: str, status: int, error: type[HttpError]) -> None:
    """What would be answered again is asked once; redirects are not followed."""
    server.does(says(status, b"[]", Location="/elsewhere"))
    with pytest.raises(error, match=f"was answered {status}") as caught:
        ask(kind, server.url, *GET)
    assert type(caught.value) is error
    assert caught.value.status == status
    assert len(server.seen) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"{", b"", b"[1]", b'{"feature_names":7}', b"NaN"])
def test_broken_answers_are_errors(server: Naughty, kind: str, content: bytes) -> None:
    """A 200 that cannot be read is an error and is not asked for again."""
    server.does(says(200, content))
    with pytest.raises(HttpOperationError, match=r"the answer to GET .*/v1/models cannot be used: "):
        ask(kind, server.url, "models")
    assert len(server.seen) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_an_answer_too(server: Naughty, kind: str) -> None:
    """An empty answer is None."""
    server.does(says(204, b""))
    assert ask(kind, server.url, "request", "POST", "/v1/change", {"a": np.array([1.5, np.nan])}) is None
    assert server.seen[0][2] == b'{"a":[1.5,null]}'


@pytest.mark.parametrize("kind", KINDS)
def test_health_is_asked_once(server: Naughty, kind: str) -> None:
    """Unwell or away is False at once; an answer that is no health is an error."""
    for trouble in (BUSY, says(500), drops):
        server.does(trouble)
        assert ask(kind, server.url, "healthy") is False
        assert ask(kind, server.url, "ready") is False
        assert [path for path, _, _ in server.seen] == ["/healthz", "/readyz"]
    for trouble in (says(404), says(200)):
        server.does(trouble)
        with pytest.raises(HttpError):
            ask(kind, server.url, "ready")


@pytest.mark.parametrize("kind", KINDS)
def test_the_token_is_sent_and_not_shown(
    server: Naughty, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The token of the argument, else of the environment; in no repr, log or error."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TRADER_API_TOKEN", "from-environment")
    server.does(says(200), says(200), says(200), drops)
    for token in ("from-argument", None, ""):
        ask(kind, server.url, *GET, token=token)
    with pytest.raises(HttpUnavailableError) as caught:
        ask(kind, server.url, *GET, retries=0)
    sent = [headers.get("Authorization") for _, headers, _ in server.seen]
    assert sent == ["Bearer from-argument", "Bearer from-environment", None, "Bearer from-environment"]
    client = Client(server.url)
    assert repr(client) == f"<Client of {server.url} with a token>"
    shown = f"{caplog.text} {caught.value} {client!r} {vars(client)!r} {vars(client._http)!r}"
    assert "from-environment" not in shown
    assert "from-argument" not in shown
    client.close()


def test_a_prefix_stays_before_the_routes(server: Naughty) -> None:
    """A server may be below a path; proxies of the environment are not asked on the way to this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert ask("threads", f"{server.url}/prefix/", *GET) == {"ok": True}
    assert server.seen[0][0] == "/prefix/v1/anything"
