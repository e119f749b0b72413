"""Bringing a database to the schema of this version, safely when many processes open it at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from trader.core.errors import StoreError
from trader.storage.engine import writing
from trader.storage.schema import SCHEMA_REVISION

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["downgrade", "revision_of", "upgrade"]

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x74726164  # any number that all openers agree on
_ALEMBIC = threading.Lock()  # its context is one global of the process


def upgrade(engine: Engine) -> None:
    """Bring the database to `SCHEMA_REVISION`; nothing happens where it is there already.

    Raises
    ------
    StoreError
        If the database has a revision that this version does not know.
    """
    with engine.connect() as connection:
        if revision_of(connection) == SCHEMA_REVISION:
            return
    # alembic takes a good part of a second to import, and only a new or an old database needs it.
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with _ALEMBIC, _alone(engine):
        if engine.dialect.name == "sqlite":
            _use_wal(engine)
        with _locked(engine) as connection:
            current = revision_of(connection)
            if current is not None and current not in known:
                raise StoreError(
                    f"store {engine.url.render_as_string(hide_password=True)} has schema revision {current!r}, but "
                    f"this version knows {', '.join(sorted(known))}; open it with the version that wrote it"
                )
            if current != SCHEMA_REVISION:
                config.attributes["connection"] = connection
                command.upgrade(config, SCHEMA_REVISION)


def downgrade(engine: Engine, revision: str) -> None:
    """Undo the migrations above `revision`; "base" empties the database, records and all."""
    from alembic import command

    config = _config()
    with _ALEMBIC, _alone(engine), _locked(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def revision_of(connection: Connection) -> str | None:
    """Return the schema revision of a database, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextlib.contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    """Give a write transaction in which no other process migrates."""
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        yield connection


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Hold a lock on SQLite's folder: changing the journal mode does not wait for other openers, so we do."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or database in (None, "", ":memory:"):
        yield
        return
    folder = os.open(Path(str(database)).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _use_wal(engine: Engine) -> None:
    # Outside a transaction, where alone the mode may change; it is a property of the file and stays.
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.close()
    finally:
        raw.close()
