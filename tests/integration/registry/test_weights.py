"""Weights of ensembles in a real database."""

from __future__ import annotations

import pytest

from trader.core.errors import DataError
from trader.models.weights import WeightChange
from trader.registry.weights import EnsembleWeights
from trader.storage import Store


def test_changes_come_back_in_order(store_url: str) -> None:
    """What was set is read back by another store, each ensemble its own."""
    with Store.open(store_url) as store:
        kept = EnsembleWeights(store)
        kept.set("main", WeightChange(50, {"a": 1.0, "b": 0.1}, 49, "ada", "a did better"))
        kept.set("other", WeightChange(1, {"c": 1.0}, None, "ada", "only c"))
        kept.set("main", WeightChange(20, {"b": 1.0}, None, "bob", "a is unproven"))
    with Store.open(store_url) as store:
        changes = EnsembleWeights(store).changes("main")
        assert [(one.effective_ns, dict(one.weights), one.seen_until_ns, one.who) for one in changes] == [
            (50, {"a": 1.0, "b": 0.1}, 49, "ada"),
            (20, {"b": 1.0}, None, "bob"),
        ]
        schedule = EnsembleWeights(store).schedule("main")
        assert [schedule.at(ts_ns) and schedule.at(ts_ns).who for ts_ns in (19, 20, 49, 50)] == [
            None,
            "bob",
            "bob",
            "ada",
        ]


def test_nobody_and_no_reason_are_refused(store_url: str) -> None:
    """Every change says who made it and why."""
    with Store.open(store_url) as store, pytest.raises(DataError, match="who is empty"):
        EnsembleWeights(store).set("main", WeightChange(1, {"a": 1.0}, None, "", "x"))
