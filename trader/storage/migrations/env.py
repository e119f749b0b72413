"""Run the migrations on the connection that `trader.storage.migrate` holds a lock on."""

from __future__ import annotations

from alembic import context

from trader.storage.schema import METADATA

__all__ = ["run_migrations"]


def run_migrations() -> None:
    """Run what the command asked for, in the caller's transaction."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
    context.run_migrations()


if __name__ == "env_py":  # the name under which alembic executes this file
    run_migrations()
