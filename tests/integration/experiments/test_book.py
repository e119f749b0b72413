"""Experiments in a real database: what was planned and what happened stays, and one run has each."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, delete, update
from sqlalchemy.exc import DBAPIError

from trader.core.errors import ConflictError, NotFoundError
from trader.experiments.book import ExperimentBook
from trader.experiments.spec import ExperimentSpec
from trader.storage import RunRecord, Store, VariantMark
from trader.storage.experiment_tables import experiment_events, experiments

SPEC = ExperimentSpec("e", "linear@1.0.0", "linear@1.1.0", horizon=100)


def _run(run_id: str) -> RunRecord:
    return RunRecord(run_id=run_id, mode="run", created_ns=0, seed=1, symbols=("A",))


def test_an_experiment_is_registered_once_and_joined_by_one_run(store_url: str) -> None:
    """What was registered is read back by another store; a second run is refused, the first may come again."""
    with Store.open(store_url) as store:
        store.create_run(_run("r1"))
        store.create_run(_run("r2"))
        book = ExperimentBook(store)
        book.register(SPEC, "ada", "a better fit?")
        assert (book.get("e").phase, book.get("e").run_id) == ("registered", None)
        assert book.join("e", "r1") == SPEC
        assert book.join("e", "r1") == SPEC
        with pytest.raises(ConflictError, match="'e' is running in run r1"):
            book.join("e", "r2")
        with pytest.raises(ConflictError, match="'e' exists; what was registered is not changed"):
            book.register(SPEC, "bob", "again")
        with pytest.raises(NotFoundError, match="'f' does not exist"):
            book.join("f", "r1")
    with Store.open(store_url) as store:
        book = ExperimentBook(store)
        book.add("e", "verdict", {"verdict": "pass", "low": 0.1}, who="trader", why="the run ended", run_id="r1")
        found = book.get("e")
        assert (found.spec, found.phase, found.run_id, found.said.who) == (SPEC, "judged", "r1", "ada")
        assert found.verdict == {"verdict": "pass", "low": 0.1}
        assert [entry.kind for entry in found.entries] == ["joined", "verdict"]
        book.add("e", "stopped", {}, who="ada", why="enough")
        assert [each.phase for each in book.all()] == ["stopped"]


def test_the_record_is_append_only(store_url: str) -> None:
    """The database refuses to change or delete what an experiment planned and what happened to it."""
    with Store.open(store_url) as store:
        book = ExperimentBook(store)
        book.register(SPEC, "ada", "why")
        book.add("e", "stopped", {}, who="ada", why="enough")
    engine = create_engine(store_url)
    for table in (experiments, experiment_events):
        for statement in (update(table).values(who="eve"), delete(table)):
            with engine.connect() as connection, pytest.raises(DBAPIError, match=f"{table.name} is append-only"):
                connection.execute(statement)
    engine.dispose()


def test_marks_need_their_decisions(store_url: str) -> None:
    """A mark of a decision that does not exist is refused; a run without an experiment has none."""
    from trader.core.errors import StoreError

    with Store.open(store_url) as store:
        store.create_run(_run("r1"))
        with pytest.raises(StoreError, match=r"(?i)foreign key"):
            store.append("r1", [], traces=[], marks=[VariantMark(0, 1.0, 1.0)])
        assert store.variant_marks("r1") == []
