"""An HTTP server that misbehaves by a script."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable

__all__ = ["Action", "Handler", "Naughty", "breaks_off", "drops", "hangs", "says", "trickles"]

Action = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Does with each request what the script says next; the last line is repeated."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Naughty

    def _act(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, dict(self.headers), body))
        script = self.server.script
        (script.pop(0) if len(script) > 1 else script[0])(self)

    do_GET = do_POST = do_PUT = _act  # noqa: N815 - names that the standard library asks for

    def log_message(self, *_: object) -> None:
        pass


class Naughty(http.server.ThreadingHTTPServer):
    """A server with a script."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Action] = []
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.over = threading.Event()

    def does(self, *script: Action) -> None:
        self.script, self.seen = list(script), []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def says(status: int, content: bytes = b'{"ok":true}', /, **headers: str) -> Action:
    """An answer."""

    def act(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return act


def drops(handler: Handler) -> None:
    """End the connection without a word."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def breaks_off(handler: Handler) -> None:
    """End the connection within the answer."""
    says(200, b'{"ok":', Content_Length="999")(handler)
    drops(handler)


def hangs(handler: Handler) -> None:
    """Say nothing."""
    handler.close_connection = True
    handler.server.over.wait(60.0)


def trickles(handler: Handler) -> None:
    """Send a byte now and then."""
    says(200, b"[", Content_Length="9999")(handler)
    handler.close_connection = True
    try:
        while not handler.server.over.wait(0.01):
            handler.wfile.write(b"1")
    except OSError:
        pass
