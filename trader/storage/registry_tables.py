"""The tables of the model registry; `trader.registry` reads and writes them.

What happened is append-only: versions, results, transitions, alias changes, acknowledgements, removals. Four
small tables say what is so now: `model_states` and `model_aliases` follow from those, `model_leases` names who uses a
version at this moment, and `model_folders` every folder that may exist among the artefacts.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from trader.storage.metadata import METADATA, ROW_NUMBER

__all__ = [
    "APPEND_ONLY_REGISTRY",
    "ensemble_weights",
    "model_acknowledgements",
    "model_alias_changes",
    "model_aliases",
    "model_documents",
    "model_environments",
    "model_folders",
    "model_leases",
    "model_removals",
    "model_results",
    "model_states",
    "model_transitions",
    "model_versions",
    "models",
]

_STATES = "'TRAINING', 'STAGING', 'PRODUCTION', 'RETIRED', 'FAILED'"
_ALIASES = "'champion', 'challenger', 'shadow'"


def _number(*, primary_key: bool = False) -> Column[int]:
    # Where it is the key, SQLite finds rows twice as fast by a type spelled INTEGER.
    kind = ROW_NUMBER if primary_key else BigInteger()
    version = ForeignKey("model_versions.number")
    return Column("number", kind, version, primary_key=primary_key, autoincrement=False, nullable=False)


def _said() -> tuple[Column[int], Column[str], Column[str]]:
    return (
        Column("ts_ns", BigInteger, nullable=False),
        Column("who", String, nullable=False),
        Column("why", Text, nullable=False),
    )


models = Table(
    "models",
    METADATA,
    Column("name", String, primary_key=True),
    Column("created_ns", BigInteger, nullable=False),
)
"""One row a name. Whoever changes anything of a model locks its row first."""

model_environments = Table(
    "model_environments",
    METADATA,
    Column("digest", String, primary_key=True),
    Column("distributions", Text, nullable=False),
)

model_versions = Table(
    "model_versions",
    METADATA,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("name", String, ForeignKey("models.name"), nullable=False),
    Column("major", Integer, nullable=False),
    Column("minor", Integer, nullable=False),
    Column("patch", Integer, nullable=False),
    Column("kind", String, nullable=False),
    *_said(),
    Column("parent", BigInteger, ForeignKey("model_versions.number")),
    Column("environment", String, ForeignKey("model_environments.digest"), nullable=False),
    UniqueConstraint("name", "major", "minor", "patch"),
)

model_results = Table(
    "model_results",
    METADATA,
    _number(primary_key=True),
    Column("location", String, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("content_hash", String, nullable=False),
    Column("suspect", Boolean, nullable=False),
    Column("metrics", Text, nullable=False),
)
"""What training gave; `location` is the artefact's folder, relative to the root of all artefacts."""

model_documents = Table(
    "model_documents",
    METADATA,
    _number(primary_key=True),
    Column("what", String, primary_key=True),
    Column("content", Text, nullable=False),
    CheckConstraint("what IN ('lineage', 'manifest', 'report')", name="what"),
)
"""JSON that is read for one version at a time; listings are spared its weight."""

model_states = Table(
    "model_states",
    METADATA,
    _number(primary_key=True),
    Column("state", String, nullable=False),
    CheckConstraint(f"state IN ({_STATES})", name="state"),
    Index(None, "state", "number"),
)
"""The last `to_state` of each version in `model_transitions`."""

model_transitions = Table(
    "model_transitions",
    METADATA,
    Column("transition_no", ROW_NUMBER, primary_key=True, autoincrement=True),
    _number(),
    Column("from_state", String),
    Column("to_state", String, nullable=False),
    *_said(),
    CheckConstraint(f"to_state IN ({_STATES})", name="to_state"),
    Index(None, "number"),
)

model_alias_changes = Table(
    "model_alias_changes",
    METADATA,
    Column("change_no", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("name", String, ForeignKey("models.name"), nullable=False),
    Column("alias", String, nullable=False),
    Column("number", BigInteger, ForeignKey("model_versions.number")),
    Column("before", BigInteger, ForeignKey("model_alias_changes.change_no")),
    *_said(),
    CheckConstraint(f"alias IN ({_ALIASES})", name="alias"),
    Index(None, "name", "alias"),
)
"""`before` is the change whose version a rollback brings back; no `number` takes the alias off."""

model_aliases = Table(
    "model_aliases",
    METADATA,
    Column("name", String, ForeignKey("models.name"), primary_key=True),
    Column("alias", String, primary_key=True),
    _number(),
)

model_acknowledgements = Table(
    "model_acknowledgements",
    METADATA,
    Column("acknowledgement_no", ROW_NUMBER, primary_key=True, autoincrement=True),
    _number(),
    *_said(),
    Index(None, "number"),
)

model_removals = Table("model_removals", METADATA, _number(primary_key=True), *_said())
"""Artefacts that clean-up took away; the records stay."""

model_leases = Table(
    "model_leases",
    METADATA,
    _number(primary_key=True),
    Column("holder", String, primary_key=True),
    Column("expires_ns", BigInteger),
)

model_folders = Table(
    "model_folders",
    METADATA,
    Column("location", String, primary_key=True),
    _number(),
    Index(None, "number"),
)
"""Written before an upload begins and deleted once the folder is: what is left of a crash can be found."""

ensemble_weights = Table(
    "ensemble_weights",
    METADATA,
    Column("change_no", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("ensemble", String, nullable=False),
    Column("effective_ns", BigInteger, nullable=False),
    Column("seen_until_ns", BigInteger),
    Column("weights", Text, nullable=False),
    *_said(),
    Index(None, "ensemble"),
)

APPEND_ONLY_REGISTRY: tuple[Table, ...] = (
    models,
    model_environments,
    model_versions,
    model_results,
    model_documents,
    model_transitions,
    model_alias_changes,
    model_acknowledgements,
    model_removals,
    ensemble_weights,
)
