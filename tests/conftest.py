"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# BLAS and OpenMP threads fight over two cores with Ray's workers; results do not depend on them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data beside the checkout; tests that need it skip without it."""
    folder = Path(os.environ.get("TRADER_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real market data at {folder}; set TRADER_SHARED_DATA")
    return folder
