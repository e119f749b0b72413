"""A queue that is full: refused at once, so that who asks can wait, or ask elsewhere."""

from __future__ import annotations

from trader.core.errors import ServiceUnavailableError

__all__ = ["OverloadedError"]


class OverloadedError(ServiceUnavailableError):
    """As many requests wait for an ensemble as may; nothing is wrong with it."""
