"""Whom the client speaks to, and what it does not show: its token."""

from __future__ import annotations

from typing import Any

import pytest

from serve.client import AsyncClient, Client
from serve.client_target import TOKEN_VARIABLE, target_of
from trader.core.errors import UserError

SECRET = "s3cret-s3cret"  # noqa: S105 - of these tests


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://10.0.0.1:8000", "http://localhost.example.com", "http://[2001:db8::1]"]
)
def test_the_token_does_not_cross_a_network_in_the_clear(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to another machine is refused a token, unless it is allowed by name; no message holds it."""
    assert not target_of(url, None, allow_insecure=False).has_token
    assert target_of(url, SECRET, allow_insecure=True).has_token
    with pytest.raises(UserError, match=r"^token is not sent") as caught:
        target_of(url, SECRET, allow_insecure=False)
    assert SECRET not in str(caught.value)
    monkeypatch.setenv(TOKEN_VARIABLE, SECRET)
    assert not target_of(url, "", allow_insecure=False).has_token
    with pytest.raises(UserError, match="TRADER_API_TOKEN is not sent") as caught:
        target_of(url, None, allow_insecure=False)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://localhost:1", "http://127.8.9.1", "http://[::1]:80/prefix/"]
)
def test_the_token_goes_to_this_machine_and_over_tls(url: str) -> None:
    """There nobody is in between."""
    target = target_of(url, SECRET, allow_insecure=False)
    assert target.headers["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in repr(target)


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_clients_refuse_it(client: type[Client] | type[AsyncClient]) -> None:
    """Both clients ask before they open anything."""
    with pytest.raises(UserError, match="token is not sent"):
        client("http://example.com", token=SECRET)
    assert repr(client("http://localhost", token=SECRET)) == f"<{client.__name__} of http://localhost with a token>"


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "ä"])
def test_tokens_are_one_word(token: str) -> None:
    """A token that would break the header is refused without being shown."""
    with pytest.raises(UserError, match="not allowed") as caught:
        Client("https://example.com", token=token)
    assert repr(token)[1:-1] not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "options", "match"),
    [
        ("127.0.0.1:8000", {}, "url="),
        ("ftp://127.0.0.1", {}, "url="),
        ("http://", {}, "url="),
        ("http://a?b=c", {}, "url="),
        ("http://a:b", {}, "not a URL"),
        ("http://user:s3cret@a", {}, "^url holds a user or password"),
        ("http://a", {"timeout_s": 0.0}, "timeout_s=0.0"),
        ("http://a", {"attempt_timeout_s": float("nan")}, "attempt_timeout_s=nan"),
        ("http://a", {"retries": -1}, "retries=-1"),
        ("http://a", {"batch_rows": 0}, "batch_rows=0"),
        ("http://a", {"concurrency": 0}, "concurrency=0"),
    ],
)
def test_arguments_are_checked(url: str, options: dict[str, Any], match: str) -> None:
    """A wrong argument is named."""
    with pytest.raises(UserError, match=match):
        Client(url, **options)
