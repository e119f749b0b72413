"""Asking an application over HTTP whether it is ready, without Ray."""

from __future__ import annotations

import http.client

__all__ = ["ask_ready", "reachable"]

_TIMEOUT_S = 5.0


def ask_ready(host: str, port: int) -> str | None:
    """Return None if `/readyz` answers 200, or else what happens instead."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(500).decode(errors="replace")
        return None if answer.status == http.client.OK else f"{answer.status} {text}"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


def reachable(host: str) -> str:
    """Return where to ask a server that listens on `host`: one that listens everywhere also does on the loopback.

    >>> reachable("0.0.0.0"), reachable("10.0.0.7")
    ('127.0.0.1', '10.0.0.7')
    """
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
