"""What every table shares: one collection, one way to name constraints."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

__all__ = ["METADATA", "ROW_NUMBER"]

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""Type of a key that the database counts; SQLite does so only where the type is spelled INTEGER."""
