"""Captures of a vendor's wire: one line a message, time of receipt in nanoseconds, a blank, and the vendor's JSON."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from trader.core.errors import DataError, NotFoundError

__all__ = ["CapturedMessage", "read_capture"]


class CapturedMessage(NamedTuple):
    """A line of a capture; `stream` is empty for what did not come by a stream, such as a snapshot of the book."""

    recv_ns: int
    stream: str
    payload: bytes


def read_capture(path: Path) -> Iterator[CapturedMessage]:
    """Yield the messages of a capture, gzip or plain, in its order.

    Raises
    ------
    NotFoundError
        If it does not exist.
    DataError
        If it is not readable, or a line is not of the form.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if compressed else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                received, _, payload = line.rstrip(b"\n").partition(b" ")
                if not received.isdigit() or not payload.startswith(b"{"):
                    raise DataError(f"line {number} of capture {path} is not `nanoseconds {{json}}`: {line[:60]!r}")
                yield CapturedMessage(int(received), _stream_of(payload), payload)
    except FileNotFoundError:
        raise NotFoundError(f"capture {path} does not exist") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"capture {path} cannot be read: {error}") from None


def _stream_of(payload: bytes) -> str:
    head = b'{"stream":"'
    if not payload.startswith(head):
        return ""
    return payload[len(head) : payload.index(b'"', len(head))].decode("ascii", "replace")
