"""The store's tests run on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
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
def sqlite_url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet, in a folder that does not either."""
    return f"sqlite:///{tmp_path / 'new' / 'trader.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A database that is empty, of either kind."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    make: Callable[[], str] = request.getfixturevalue("new_postgres_url")
    return make()


@pytest.fixture
def store(store_url: str, made: ModuleType) -> Iterator[Store]:
    """A store with run `r1` of no decisions."""
    with Store.open(store_url) as opened:
        opened.create_run(made.run_record("r1"))
        yield opened
