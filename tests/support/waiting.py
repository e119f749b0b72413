"""Waiting for what another thread or process does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["wait_until"]


def wait_until(reached: Callable[[], object], timeout_s: float = 60) -> None:
    """Return when `reached` is true; fail after a time that only a machine in trouble needs."""
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < deadline, f"not reached in {timeout_s:g} s"
        time.sleep(0.02)
