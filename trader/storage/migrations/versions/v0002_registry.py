"""The model registry: versions with their results, states and aliases, and who uses them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

__all__ = ["downgrade", "upgrade"]

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_APPEND_ONLY = (
    "models",
    "model_environments",
    "model_versions",
    "model_results",
    "model_documents",
    "model_transitions",
    "model_alias_changes",
    "model_acknowledgements",
    "model_removals",
)
_CHANGING = ("model_states", "model_aliases", "model_leases", "model_folders")
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STATES = "'TRAINING', 'STAGING', 'PRODUCTION', 'RETIRED', 'FAILED'"
_ALIASES = "'champion', 'challenger', 'shadow'"


def upgrade() -> None:
    """Create the tables, and the triggers that keep what happened append-only."""
    _create_versions()
    _create_results()
    _create_states()
    _create_aliases()
    _create_others()
    _create_triggers()


def downgrade() -> None:
    """Drop the registry, records and all."""
    for table in (*reversed(_CHANGING), *reversed(_APPEND_ONLY)):
        op.drop_table(table)


def _row_number(name: str) -> sa.Column[int]:
    return sa.Column(name, _ROW_NUMBER, autoincrement=True, nullable=False)


def _number(table: str, *, primary_key: bool = False) -> tuple[SchemaItem, ...]:
    kind = _ROW_NUMBER if primary_key else sa.BigInteger()
    return (
        sa.Column("number", kind, autoincrement=False, nullable=False),
        _refers(table, "number", "model_versions.number"),
    )


def _said() -> tuple[SchemaItem, ...]:
    return (
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
    )


def _refers(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")


def _create_versions() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )
    op.create_table(
        "model_environments",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("distributions", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_model_environments"),
    )
    op.create_table(
        "model_versions",
        _row_number("number"),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("major", sa.Integer(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("patch", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        *_said(),
        sa.Column("parent", sa.BigInteger(), nullable=True),
        sa.Column("environment", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_model_versions"),
        sa.UniqueConstraint("name", "major", "minor", "patch", name="uq_model_versions_name_major_minor_patch"),
        _refers("model_versions", "name", "models.name"),
        _refers("model_versions", "parent", "model_versions.number"),
        _refers("model_versions", "environment", "model_environments.digest"),
    )


def _create_results() -> None:
    op.create_table(
        "model_results",
        *_number("model_results", primary_key=True),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("suspect", sa.Boolean(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_model_results"),
    )
    op.create_table(
        "model_documents",
        *_number("model_documents", primary_key=True),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", "what", name="pk_model_documents"),
        sa.CheckConstraint("what IN ('lineage', 'manifest', 'report')", name=op.f("ck_model_documents_what")),
    )


def _create_states() -> None:
    op.create_table(
        "model_states",
        *_number("model_states", primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_model_states"),
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_model_states_state")),
    )
    op.create_index("ix_model_states_state_number", "model_states", ["state", "number"])
    op.create_table(
        "model_transitions",
        _row_number("transition_no"),
        *_number("model_transitions"),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        *_said(),
        sa.PrimaryKeyConstraint("transition_no", name="pk_model_transitions"),
        sa.CheckConstraint(f"to_state IN ({_STATES})", name=op.f("ck_model_transitions_to_state")),
    )
    op.create_index("ix_model_transitions_number", "model_transitions", ["number"])


def _create_aliases() -> None:
    op.create_table(
        "model_alias_changes",
        _row_number("change_no"),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("before", sa.BigInteger(), nullable=True),
        *_said(),
        sa.PrimaryKeyConstraint("change_no", name="pk_model_alias_changes"),
        sa.CheckConstraint(f"alias IN ({_ALIASES})", name=op.f("ck_model_alias_changes_alias")),
        _refers("model_alias_changes", "name", "models.name"),
        _refers("model_alias_changes", "number", "model_versions.number"),
        _refers("model_alias_changes", "before", "model_alias_changes.change_no"),
    )
    op.create_index("ix_model_alias_changes_name_alias", "model_alias_changes", ["name", "alias"])
    op.create_table(
        "model_aliases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        *_number("model_aliases"),
        sa.PrimaryKeyConstraint("name", "alias", name="pk_model_aliases"),
        _refers("model_aliases", "name", "models.name"),
    )


def _create_others() -> None:
    op.create_table(
        "model_acknowledgements",
        _row_number("acknowledgement_no"),
        *_number("model_acknowledgements"),
        *_said(),
        sa.PrimaryKeyConstraint("acknowledgement_no", name="pk_model_acknowledgements"),
    )
    op.create_index("ix_model_acknowledgements_number", "model_acknowledgements", ["number"])
    op.create_table(
        "model_removals",
        *_number("model_removals", primary_key=True),
        *_said(),
        sa.PrimaryKeyConstraint("number", name="pk_model_removals"),
    )
    op.create_table(
        "model_leases",
        *_number("model_leases", primary_key=True),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", "holder", name="pk_model_leases"),
    )
    op.create_table(
        "model_folders",
        sa.Column("location", sa.String(), nullable=False),
        *_number("model_folders"),
        sa.PrimaryKeyConstraint("location", name="pk_model_folders"),
    )
    op.create_index("ix_model_folders_number", "model_folders", ["number"])


def _create_triggers() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for table in _APPEND_ONLY:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                + (
                    "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
                    if postgresql
                    else f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
            )
