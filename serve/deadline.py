"""The client's deadline: work that nobody waits for any more is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from serve.problems import ProblemError

__all__ = ["DEADLINE_HEADER", "LONGEST_MS", "within_deadline"]

DEADLINE_HEADER = "X-Request-Deadline-Ms"
"""Milliseconds, from its arrival, that the client will still wait for the answer."""
LONGEST_MS = 3_600_000


@asynccontextmanager
async def within_deadline(request: Request) -> AsyncIterator[None]:
    """Give up what is awaited inside when the request's deadline has passed; without one, nothing happens.

    Raises
    ------
    ProblemError
        504 at the deadline, 400 if it is not a number of milliseconds up to an hour.
    """
    given = request.headers.get(DEADLINE_HEADER)
    if given is None:
        yield
        return
    if not given.isascii() or not given.isdigit() or int(given) > LONGEST_MS:
        raise ProblemError(400, "invalid-deadline", f"{DEADLINE_HEADER}={given!r} is not 0 to {LONGEST_MS} ms")
    try:
        async with asyncio.timeout(int(given) / 1000.0):
            if given.strip("0") == "":
                raise TimeoutError
            yield
    except TimeoutError:
        detail = f"there was no answer within the {given} ms that {DEADLINE_HEADER} gave"
        raise ProblemError(504, "deadline-exceeded", detail) from None
