"""The migrations make exactly the tables that the code declares, up, down and up again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

import trader.storage
from trader.storage import Store, migrate
from trader.storage.engine import make_engine, parse_url, writing
from trader.storage.schema import APPEND_ONLY, METADATA, SCHEMA_REVISION


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    made = make_engine(parse_url(store_url), "full")
    yield made
    made.dispose()


def _tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def test_declared_and_migrated_schema_are_equal(engine: Engine) -> None:
    """Alembic finds no difference between the tables in the code and those in the database."""
    migrate.upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_a_difference_would_be_found(engine: Engine) -> None:
    """The comparison above is not blind: a column that is gone shows."""
    migrate.upgrade(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN extra")
    with engine.connect() as connection:
        (difference,) = compare_metadata(MigrationContext.configure(connection), METADATA)
    assert difference[0] == "add_column"


def test_constraints_are_those_declared(engine: Engine) -> None:
    """Primary keys, foreign keys and checks, which Alembic does not compare, have the same names too."""
    migrate.upgrade(engine)
    with engine.connect() as connection:
        inspector = inspect(connection)
        for table in METADATA.sorted_tables:
            found = {key["name"] for key in inspector.get_foreign_keys(table.name)}
            found |= {check["name"] for check in inspector.get_check_constraints(table.name)}
            found |= {unique["name"] for unique in inspector.get_unique_constraints(table.name)}
            found.add(inspector.get_pk_constraint(table.name)["name"])
            assert found == {str(constraint.name) for constraint in table.constraints}, table.name


def test_down_and_up_again(engine: Engine, store_url: str, made: ModuleType) -> None:
    """Going down to nothing removes every table, and going up again gives a store that works."""
    migrate.upgrade(engine)
    assert _tables(engine) == {*METADATA.tables, "alembic_version"}
    migrate.downgrade(engine, "base")
    assert _tables(engine) == {"alembic_version"}
    migrate.upgrade(engine)
    with Store.open(store_url) as store:
        store.create_run(made.run_record("r1"))
        made.append(store, "r1", 0, 3)
        assert store.last_seq("r1") == 2


def test_upgrade_of_a_current_database_changes_nothing(store: Store, engine: Engine, made: ModuleType) -> None:
    """Upgrading twice keeps the records."""
    made.append(store, "r1", 0, 3)
    migrate.upgrade(engine)
    assert store.last_seq("r1") == 2


def test_the_declared_revision_is_the_head() -> None:
    """The revision in the code is the last script, and the only one without a successor."""
    config = Config()
    config.set_main_option("script_location", str(Path(trader.storage.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def test_only_present_states_may_change() -> None:
    """How a run ended, the latest loop state, and what is so now of a model."""
    of_models = {"model_states", "model_aliases", "model_leases", "model_folders"}
    changing = {"runs", "loop_state"} | of_models
    assert set(METADATA.tables) - {table.name for table in APPEND_ONLY} == changing
