"""Which server a client speaks to, and whether it may show that server its token."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re

import httpx

from trader import __version__
from trader.core.errors import UserError

__all__ = ["TOKEN_VARIABLE", "Target", "target_of"]

TOKEN_VARIABLE = "TRADER_API_TOKEN"  # noqa: S105 - the name of a variable, not a token


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A server.

    Parameters
    ----------
    url : str
        Without a slash at its end.
    loopback : bool
        It is this machine: no proxy is asked, whatever the environment says.
    headers : Headers
        Sent with each request; those with the token hide it in their repr.
    """

    url: str
    loopback: bool
    headers: httpx.Headers

    @property
    def has_token(self) -> bool:
        """Whether requests carry a token."""
        return "Authorization" in self.headers


def target_of(url: str, token: str | None, *, allow_insecure: bool) -> Target:
    """Return the server behind a URL.

    Parameters
    ----------
    url : str
        http or https; a path before the routes is allowed.
    token : str, optional
        None takes the one in the environment variable TRADER_API_TOKEN, if there is one; the empty string sends none.
    allow_insecure : bool
        Send the token over plain http to another machine too.

    Raises
    ------
    UserError
        If the URL is not one of a server, the token has other than printable ASCII characters or a space, or it would
        cross a network in the clear. No message holds the token, nor a URL with a password.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UserError(f"url is not a URL: {error}") from None
    if parsed.userinfo:
        raise UserError("url holds a user or password, which is not allowed; a token is given by the argument `token`")
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query or parsed.fragment:
        raise UserError(f"url={url!r} is not allowed; one such as 'http://127.0.0.1:8000' is")
    given = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
    loopback = _is_loopback(parsed.host)
    headers = httpx.Headers({"User-Agent": f"gpt-trader/{__version__}"})
    if given:
        where = f"the environment variable {TOKEN_VARIABLE}" if token is None else "token"
        if not re.fullmatch("[!-~]+", given):
            raise UserError(f"{where} has a character that is not allowed; printable ASCII without spaces is")
        if parsed.scheme == "http" and not loopback and not allow_insecure:
            raise UserError(
                f"{where} is not sent to {url!r}, where it could be read on the way; https is allowed, plain http to "
                "this machine, or allow_insecure=True"
            )
        headers["Authorization"] = f"Bearer {given}"
    return Target(str(parsed).rstrip("/"), loopback, headers)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
