"""Policies in a real database and registry: what they promote, take back and wait for, each kept once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trader.core.clock import ManualClock
from trader.core.errors import NotFoundError
from trader.experiments.actions import apply_policy, conclude, look
from trader.experiments.actions import register as register_experiment
from trader.experiments.book import ExperimentBook
from trader.models.base import create
from trader.registry import Lineage, Registry
from trader.settings import RegistrySettings
from trader.storage import RunRecord, ShareChange, Store, VariantMark

DAY_NS = 86_400 * 10**9


@pytest.fixture
def settings(tmp_path: Path, store_url: str) -> RegistrySettings:
    """Of a registry with three versions of a linear model, the first of them champion."""
    made = RegistrySettings(artifacts=str(tmp_path / "artifacts"))
    rows = np.random.default_rng(0).normal(size=(100, 3))
    (tmp_path / "saved").mkdir()
    create("linear").fit(rows, rows[:, 0], feature_names=("a", "b", "c")).save(tmp_path / "saved")
    lineage = Lineage(data_fingerprint="f" * 64, settings={}, seed=7)
    with Store.open(store_url) as store:
        registry = Registry.of(store, made)
        for why in ("first", "second", "third"):
            registry.register(
                "linear", tmp_path / "saved", lineage=lineage, report={}, metrics={}, kind="linear", who="x", why=why
            )
        registry.promote("linear@1.0.0", "ada", "the first")
    return made


def _begin(store: Store, settings: RegistrySettings, name: str, **fields: object) -> None:
    """Register an experiment that a run of its own has joined."""
    fields = {"policy": "auto", "horizon": 200} | fields
    register_experiment(store, settings, name, "linear@1.0.0", "linear@1.1.0", fields, who="ada", why="better?")
    store.create_run(RunRecord(run_id=f"run-{name}", mode="run", created_ns=0, seed=1, symbols=("A", "B")))
    ExperimentBook(store).join(name, f"run-{name}")


def _trade(monkeypatch: pytest.MonkeyPatch, edges: dict[str, float]) -> None:
    """Have runs whose challengers earn so much more a decision, however many decisions are stored."""

    def marks(_: Store, run_id: str) -> list[VariantMark]:
        noise = np.random.default_rng(0).normal(edges[run_id.removeprefix("run-")], 1e-4, 201)
        equity = (1e6 * np.cumprod(1.0 + noise)).tolist()
        return [VariantMark(seq, 1e6, value, 0.7, 0.5, answered=True) for seq, value in enumerate(equity)]

    monkeypatch.setattr(Store, "variant_marks", marks)


def test_a_pass_is_promoted_once_and_taken_back(
    store_url: str, settings: RegistrySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the cooldown only; when it turns into a loss the champion before is back, and the next one has to wait."""
    edges = {"e": 1e-4, "next": 1e-4}
    _trade(monkeypatch, edges)
    with Store.open(store_url) as store:
        registry, book = Registry.of(store, settings), ExperimentBook(store)
        for name in edges:
            _begin(store, settings, name)
        assert conclude(store, settings, "e", who="trader", why="the run ended").verdict == "pass"
        (held,) = (entry for entry in book.get("e").entries if entry.kind == "held")
        assert (held.said.who, "cooldown until" in held.said.why) == ("policy", True)
        assert held.payload["verdict"] == "pass"
        assert registry.resolve("linear@champion").ref == "linear@1.0.0"
        since = registry.history("linear@1.0.0")[-1].ts_ns
        assert apply_policy(store, settings, "e", clock=ManualClock(since + DAY_NS)).action == "promote"
        assert registry.resolve("linear@champion").ref == "linear@1.1.0"
        promoted = book.get("e").entries[-1]
        assert (promoted.kind, promoted.said.who, promoted.payload["forced"]) == ("promoted", "policy", False)
        conclude(store, settings, "e", who="trader", why="the run went on")
        assert book.get("e").phase == "promoted"
        edges["e"] = -1e-4
        assert apply_policy(store, settings, "e").action == "roll back"
        assert (registry.resolve("linear@champion").ref, look(store, "e")[0].phase) == ("linear@1.0.0", "rolled back")
        assert "cooldown" in apply_policy(store, settings, "next").reason


def test_a_proposal_is_made_once_and_manual_writes_nothing(
    store_url: str, settings: RegistrySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trade(monkeypatch, {"e": 1e-4, "m": 1e-4})
    with Store.open(store_url) as store:
        _begin(store, settings, "e", policy="propose")
        _begin(store, settings, "m", policy="manual")
        actions = [apply_policy(store, settings, "e").action for _ in range(2)]
        assert actions == ["propose", "hold"]
        experiment = ExperimentBook(store).get("e")
        assert experiment.proposal is not None
        assert experiment.proposal.payload["action"] == "propose"
        ExperimentBook(store).add("e", "stopped", {}, who="ada", why="no")
        assert ExperimentBook(store).get("e").proposal is None
        assert apply_policy(store, settings, "m").reason == "the policy is manual"
        assert [entry.kind for entry in ExperimentBook(store).get("m").entries] == ["joined"]
        with pytest.raises(NotFoundError):
            apply_policy(store, settings, "nobody")


def test_a_share_is_written_once(store_url: str, settings: RegistrySettings) -> None:
    """The same change again, as after a crash, leaves the first; another decision's is another."""
    change = ShareChange("e", 201, 0.5, "gate 2 passed", {"low": float("nan")})
    with Store.open(store_url) as store:
        _begin(store, settings, "e")
        store.append("run-e", [], traces=[], shares=[change])
        store.append("run-e", [], traces=[], shares=[change._replace(reason="again"), change._replace(seq=301)])
        shares = ExperimentBook(store).get("e").shares
        assert [(entry.payload["seq"], entry.said.why, entry.run_id) for entry in shares] == [
            (201, "gate 2 passed", "run-e"),
            (301, "gate 2 passed", "run-e"),
        ]
