"""The store's tests run on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from trader.storage import Store

WRITER = Path(__file__).parent / "crash_writer.py"


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module that makes decisions by number."""
    spec = importlib.util.spec_from_file_location("crash_writer", WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store(store_url: str, made: ModuleType) -> Iterator[Store]:
    """A store with run `r1` of no decisions."""
    with Store.open(store_url) as opened:
        opened.create_run(made.run_record("r1"))
        yield opened
