"""Which tests need the session's Ray cluster."""

from __future__ import annotations

import pytest


def uses_cluster(item: pytest.Item | None) -> bool:
    """Whether a test needs it."""
    return "ray_cluster" in getattr(item, "fixturenames", ())
