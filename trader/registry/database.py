"""Transactions of the registry: readers never wait, writers of one model take turns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from trader.storage.engine import store_errors, writing
from trader.storage.registry_tables import models

__all__ = ["Database", "insert_new", "lock", "upsert"]


class Database:
    """The engine of a store, as the registry uses it; database errors become StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that reads."""
        with store_errors(self._engine.url), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, name: str) -> Iterator[Connection]:
        """Give a transaction in which nobody else changes the model `name`.

        What it reads stays true until it ends. SQLite lets only one writer in at all; PostgreSQL locks the row of
        the model.
        """
        with store_errors(self._engine.url), writing(self._engine) as connection:
            lock(connection, name)
            yield connection


def lock(connection: Connection, name: str) -> None:
    """Hold the row of a model, if there is one, to the end of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(models.c.name).where(models.c.name == name).with_for_update(key_share=True))


def insert_new(connection: Connection, table: Table, **values: Any) -> None:
    """Insert a row unless its key exists."""
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    connection.execute(insert.on_conflict_do_nothing(), values)


def upsert(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert a row, or give the one with its key new values."""
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    statement = insert.values(**key, **values).on_conflict_do_update(index_elements=list(key), set_=dict(values))
    connection.execute(statement)
