"""Alembic's scripts, shipped with the package and run by `trader.storage.migrate`."""
