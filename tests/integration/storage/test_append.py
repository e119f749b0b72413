"""Appending: repeats are recognised, holes and wrong shapes refused, and nothing is half-written."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import numpy as np
import pytest
from sqlalchemy import create_engine, delete, update
from sqlalchemy.exc import DBAPIError

from trader.core.errors import DataError, StoreError
from trader.storage import Appended, Store
from trader.storage.audit import AuditEntry, AuditLog
from trader.storage.experiment_tables import APPEND_ONLY_EXPERIMENTS
from trader.storage.registry_tables import APPEND_ONLY_REGISTRY
from trader.storage.schema import APPEND_ONLY
from trader.storage.serving import ServingLog


def test_a_repeated_append_changes_nothing_and_is_counted(store: Store, made: ModuleType) -> None:
    """Writing the same decisions again adds no row; the repeats are as many as the rows were."""
    first = made.append(store, "r1", 0, 8)
    before = (store.fill_batch("r1"), store.orders("r1"), store.events("r1"))
    again = made.append(store, "r1", 0, 8)
    written = first.decisions + first.orders + first.fills + first.events
    assert first.repeated == 0
    assert again == Appended(decisions=0, orders=0, fills=0, events=0, repeated=written)
    assert (store.fill_batch("r1"), store.orders("r1"), store.events("r1")) == before


def test_an_overlapping_append_adds_what_is_new(store: Store, made: ModuleType) -> None:
    """Decisions 3 to 9 after 0 to 5 add 6 to 9."""
    made.append(store, "r1", 0, 6)
    appended = made.append(store, "r1", 3, 10)
    assert appended.decisions == 4
    assert store.decisions("r1").seq.tolist() == list(range(10))


def test_an_older_repeat_does_not_turn_the_loop_state_back(store: Store, made: ModuleType) -> None:
    """A process that repeats old decisions, believing itself alone, leaves the newer state."""
    made.append(store, "r1", 0, 6)
    made.append(store, "r1", 0, 3)
    assert store.loop_state("r1") == {"seq": 5, "cash": made.decision(5).cash}


def test_holes_are_refused(store: Store, made: ModuleType) -> None:
    """A decision may not be left out, neither before nor within an append."""
    made.append(store, "r1", 0, 3)
    with pytest.raises(DataError, match=r"first decision has seq=4, but run r1 ends at 2"):
        made.append(store, "r1", 4, 6)
    with pytest.raises(DataError, match=r"seq \[3, 5\]; consecutive"):
        store.append("r1", [made.decision(3), made.decision(5)], traces=["a", "b"])
    assert store.last_seq("r1") == 2


def test_two_stores_may_take_turns(store: Store, store_url: str, made: ModuleType) -> None:
    """A process that takes a run over goes on where the other stopped, and the other where it did."""
    made.append(store, "r1", 0, 3)
    with Store.open(store_url) as other:
        made.append(other, "r1", 3, 6)
    made.append(store, "r1", 6, 8)
    assert store.last_seq("r1") == 7


def test_lists_must_match_the_decisions(store: Store, made: ModuleType) -> None:
    """A list of another length is refused by name."""
    with pytest.raises(DataError, match="traces has 0 items; 1 are needed"):
        store.append("r1", [made.decision(0)], traces=[])
    with pytest.raises(DataError, match="latency_ns has 2 items"):
        store.append("r1", [made.decision(0)], traces=["a"], latency_ns=[1, 2])


def test_arrays_must_match_the_symbols(store: Store, made: ModuleType) -> None:
    """An array of another length than the run's symbols is refused by name."""
    wrong = dataclasses.replace(made.decision(0), score=np.zeros(5))
    with pytest.raises(DataError, match="score has 5 values in a decision; this run's symbols ask for 4"):
        store.append("r1", [wrong], traces=["a"])


def test_numbers_must_be_finite(store: Store, made: ModuleType) -> None:
    """NaN in the ledger is refused by name, before anything is written."""
    with pytest.raises(DataError, match="equity=nan in a decision"):
        store.append("r1", [dataclasses.replace(made.decision(0), equity=float("nan"))], traces=["a"])
    fills = made.fills(next(s for s in range(1, 20) if len(made.fills(s))))
    bad = dataclasses.replace(fills, price=np.full(len(fills), np.inf))
    with pytest.raises(DataError, match="fills have price=inf"):
        store.append("r1", [dataclasses.replace(made.decision(0), fills=bad)], traces=["a"])
    assert store.last_seq("r1") == -1


def test_a_fill_without_its_order_is_refused(store: Store, made: ModuleType) -> None:
    """The database itself holds that every fill has an order; an append it refuses leaves nothing at all."""
    made.append(store, "r1", 0, 2)
    later = next(seq for seq in range(9, 20) if len(made.fills(seq)))
    orphan = dataclasses.replace(made.decision(3), fills=made.fills(later))
    with pytest.raises(StoreError, match=r"(?i)foreign key"):
        store.append("r1", [made.decision(2), orphan], traces=["a", "b"], loop_state={"seq": 3})
    assert store.last_seq("r1") == 1
    assert store.loop_state("r1") == {"seq": 1, "cash": made.decision(1).cash}
    assert set(store.orders("r1")["seq"].to_pylist()) <= {0, 1}


def test_the_ledger_is_append_only(store: Store, store_url: str, made: ModuleType) -> None:
    """The database refuses to change or delete rows of the ledger, whoever asks."""
    made.append(store, "r1", 0, 5)
    store.record_cash("r1", 0, 0, 1.0, "deposit")
    AuditLog(store).add(AuditEntry(0, "r-1", "ada", "trader", "POST", "/v1/experiments", "", 201, "done"))
    ServingLog(store, "standing").add("wanted", {}, who="ada", why="the first")
    engine = create_engine(store_url)
    for table in set(APPEND_ONLY) - set(APPEND_ONLY_REGISTRY) - set(APPEND_ONLY_EXPERIMENTS):
        for statement in (update(table).values(ts_ns=0), delete(table)):
            with engine.connect() as connection, pytest.raises(DBAPIError, match=f"{table.name} is append-only"):
                connection.execute(statement)
    engine.dispose()
