"""The table of standing applications; `trader.storage.serving` reads and writes it."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, String, Table, Text

from trader.storage.metadata import METADATA, ROW_NUMBER

__all__ = ["APPEND_ONLY_SERVING", "serving_events"]

serving_events = Table(
    "serving_events",
    METADATA,
    Column("event_no", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("app", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    CheckConstraint("kind IN ('wanted', 'applied', 'failed', 'tripped')", name="kind"),
    Index(None, "app", "kind"),
)
"""What was wanted of each standing application, and what became of it."""

APPEND_ONLY_SERVING: tuple[Table, ...] = (serving_events,)
