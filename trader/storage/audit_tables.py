"""The table of the audit log; `trader.storage.audit` reads and writes it."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, String, Table, Text

from trader.storage.metadata import METADATA, ROW_NUMBER

__all__ = ["APPEND_ONLY_AUDIT", "audit_log"]

audit_log = Table(
    "audit_log",
    METADATA,
    Column("entry_no", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("ts_ns", BigInteger, nullable=False),
    Column("request_id", String, nullable=False),
    Column("who", String),
    Column("role", String),
    Column("method", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("body_sha256", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", String, nullable=False),
    CheckConstraint("outcome IN ('done', 'refused', 'denied', 'failed')", name="outcome"),
)
"""Requests over HTTP that would change something, and what came of them; `who` is null where nobody is known."""

APPEND_ONLY_AUDIT: tuple[Table, ...] = (audit_log,)
