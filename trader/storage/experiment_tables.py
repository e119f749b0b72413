"""The tables of experiments; `trader.experiments` reads and writes the first two, the store the third.

All three are append-only: what an experiment would compare and how was written down before it began, and nothing that
happened to it afterwards can be changed.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
)

from trader.storage.metadata import METADATA, ROW_NUMBER

__all__ = ["APPEND_ONLY_EXPERIMENTS", "experiment_events", "experiments", "variant_marks"]

experiments = Table(
    "experiments",
    METADATA,
    Column("name", String, primary_key=True),
    Column("spec", Text, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
)

experiment_events = Table(
    "experiment_events",
    METADATA,
    Column("event_no", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("name", String, ForeignKey("experiments.name"), nullable=False),
    Column("run_id", String, ForeignKey("runs.run_id")),
    Column("kind", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("seq", BigInteger),
    Index(None, "name"),
    Index(None, "run_id", "seq", unique=True),
)
"""`seq` is the first decision with a share that the run itself changed, so that it is written once; else null."""

variant_marks = Table(
    "variant_marks",
    METADATA,
    Column("run_id", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("champion", Double, nullable=False),
    Column("challenger", Double, nullable=False),
    Column("sign_agreement", Double),
    Column("rank_correlation", Double),
    Column("share", Double),
    Column("units", BigInteger),
    Column("answered", Boolean),
    Column("own_score", LargeBinary),
    ForeignKeyConstraint(["run_id", "seq"], ["decisions.run_id", "decisions.seq"]),
    sqlite_with_rowid=False,
)
"""Equity of each variant's virtual portfolio after each decision, how far the scores agreed, and who was traded.

`own_score` is a shadow's, of each symbol: it is asked when the decision, which has all others' scores, is made.
"""

APPEND_ONLY_EXPERIMENTS: tuple[Table, ...] = (experiments, experiment_events, variant_marks)
