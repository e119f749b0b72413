"""What happened cannot be changed, and what is so now agrees with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from trader.models.weights import WeightChange
from trader.registry import ModelVersion, Registry, State
from trader.registry.weights import EnsembleWeights
from trader.storage import Store
from trader.storage import registry_tables as t
from trader.storage.engine import make_engine, parse_url, writing

SAY = {"who": "ada", "why": "a test"}


@pytest.fixture
def full(registry: Registry, store: Store, add: Callable[..., ModelVersion]) -> Registry:
    """A registry with a row in every table of what happened."""
    for _ in range(3):
        version = registry.acknowledge(add(report={"suspect": True}), **SAY)
        if version.version != "1.1.0":
            registry.promote(version, **SAY)
    registry.clean_up(keep=0, **SAY)
    EnsembleWeights(store).set("main", WeightChange(1, {"linear": 1.0}, None, **SAY))
    return registry


def test_triggers_refuse_changes(full: Registry, store_url: str) -> None:
    """No table of what happened lets a row be changed or deleted."""
    engine = make_engine(parse_url(store_url), "full")
    for table in t.APPEND_ONLY_REGISTRY:
        column = next(iter(table.columns))
        with engine.connect() as connection:
            assert connection.execute(select(table).limit(1)).first() is not None, f"{table.name} is empty"
        for statement in (update(table).values({column: column}), delete(table)):
            with pytest.raises(DBAPIError, match=f"{table.name} is append-only"), writing(engine) as connection:
                connection.execute(statement)
    engine.dispose()


def test_states_and_aliases_follow_from_the_logs(full: Registry, store: Store) -> None:
    """The last transition of each version is its state, the last change of each alias its holder."""
    with store._engine.connect() as connection:
        transitions = connection.execute(
            select(t.model_transitions).order_by(t.model_transitions.c.transition_no)
        ).all()
        changes = connection.execute(select(t.model_alias_changes).order_by(t.model_alias_changes.c.change_no)).all()
    last = {row.number: row.to_state for row in transitions}
    assert {v.number: v.state for v in full.versions()} == {n: State(state) for n, state in last.items()}
    holders = {(row.name, row.alias): row.number for row in changes}
    assert {(v.name, a): v.number for v in full.versions() for a in v.aliases} == holders
    before: dict[int, str | None] = {}
    for row in transitions:
        assert row.from_state == before.get(row.number)
        before[row.number] = row.to_state
