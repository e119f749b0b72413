"""Opening the database, and turning its errors into ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, Dialect, Engine, StaticPool, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from trader.core.errors import SettingsError, StoreError, StoreUnavailableError
from trader.storage.schema import loop_state

__all__ = ["Synchronous", "insert_sql", "make_engine", "parse_url", "redact", "store_errors", "writing"]

Synchronous = Literal["full", "normal"]

_LOCK_WAIT_S = 30
_PAGE_BYTES = 8_192
"""Of a new SQLite database: a decision with its features spans fewer pages than at the usual 4,096."""
_CHECKPOINT_PAGES = 8_000
"""Pages that SQLite's log gathers, 64 MB, before it copies them into the database; one changed twice goes once."""
_PASSING = (OperationalError, InterfaceError, PoolTimeoutError, OSError)
_INSERTS: dict[tuple[str, str, str], str] = {}


def parse_url(url: str) -> URL:
    """Return a URL of a database that the store can use.

    Raises
    ------
    SettingsError
        If it is not a URL of SQLite or PostgreSQL.
    """
    allowed = "sqlite:///path/to/file.db and postgresql+psycopg://user:password@host/database are allowed"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(f"store.url={url!r} is not a database URL; {allowed}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise SettingsError(f"store.url is for {parsed.drivername!r}; {allowed}")
    return parsed


def redact(url: str) -> str:
    """Return a database URL without its password, for people to see.

    >>> redact("postgresql+psycopg://me:secret@db/trader")
    'postgresql+psycopg://me:***@db/trader'
    """
    return parse_url(url).render_as_string(hide_password=True)


def make_engine(url: URL, synchronous: Synchronous) -> Engine:
    """Return an engine for `url`; SQLite's folder is created, nothing is connected yet."""
    if url.get_backend_name() == "postgresql":
        return create_engine(url, paramstyle="format", pool_pre_ping=True, connect_args={"connect_timeout": 10})
    # The driver would begin transactions only before writes and never for DDL; we begin all of them ourselves.
    options: dict[str, Any] = {"isolation_level": None, "timeout": _LOCK_WAIT_S}
    if url.database in (None, "", ":memory:"):
        engine = create_engine(url, connect_args=options | {"check_same_thread": False}, poolclass=StaticPool)
    else:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args=options)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA synchronous={synchronous.upper()}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: one that began as a reader could not wait for another writer.
        mode = "IMMEDIATE" if connection.get_execution_options().get("writes") else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def insert_sql(engine: Engine, table: Table) -> str:
    """Return the driver's text of an insert that leaves existing rows alone, or brings the loop state forward."""
    dialect = engine.dialect
    # Every store that is opened asks for every table's.
    known = (dialect.name, dialect.paramstyle, table.name)
    if known not in _INSERTS:
        _INSERTS[known] = _insert_sql(dialect, table)
    return _INSERTS[known]


def _insert_sql(dialect: Dialect, table: Table) -> str:
    insert = (sqlite if dialect.name == "sqlite" else postgresql).insert(table)
    columns = [column.name for column in table.columns if column.autoincrement is not True]
    if table is loop_state:
        new = insert.excluded
        insert = insert.on_conflict_do_update(
            index_elements=["run_id"], set_={"seq": new.seq, "state": new.state}, where=table.c.seq <= new.seq
        )
    else:
        insert = insert.on_conflict_do_nothing()
    return str(insert.compile(dialect=dialect, column_keys=columns))


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that may write; it commits at the end, or rolls back on an error."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def store_errors(url: URL) -> Iterator[None]:
    """Turn errors of the database and the file system into StoreError, in one line without the password.

    Those that may pass, of connections, locks and space, become StoreUnavailableError.
    """
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        kind = StoreUnavailableError if isinstance(error, _PASSING) else StoreError
        raise kind(f"store {url.render_as_string(hide_password=True)}: {lines[0]}") from error
