"""Clean-up takes what nobody uses, and never anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trader.core.clock import ManualClock
from trader.core.errors import ConflictError, DataError, ModelError, NotFoundError
from trader.registry import Lineage, ModelVersion, Registry, State
from trader.storage import RunRecord, Store

SAY = {"who": "ada", "why": "space"}
Add = Callable[..., ModelVersion]


def _folders(artifacts: Path) -> set[str]:
    return {f"{path.parent.name}@{path.name.partition('-')[0]}" for path in artifacts.glob("*/*")}


def test_what_is_in_use_stays(
    registry: Registry, add: Add, store: Store, artifacts: Path, lineage: Callable[..., Lineage]
) -> None:
    """One version for every reason to keep it; only the two without a reason go."""
    add(), add(), add(), add(), add(), add(), add(), add(), add()
    registry.promote("linear@1.0.0", **SAY)
    registry.promote("linear@1.1.0", **SAY)
    registry.set_alias("linear", "shadow", "1.2.0", expected=None, **SAY)
    registry.transition("linear@1.3.0", "PRODUCTION", **SAY)
    registry.lease("linear@1.4.0", "serve on host 7")
    run = {"mode": "run", "created_ns": 0, "seed": 0, "symbols": ("A",)}
    store.create_run(RunRecord(run_id="r1", **run, member_names=("momentum@1.0.0", "linear@1.5.0")))
    registry.transition("linear@1.6.0", "RETIRED", **SAY)
    registry.begin("linear", lineage=lineage(parent="linear@1.6.0"), **SAY)
    planned = registry.clean_up(keep=1, **SAY, dry_run=True)
    assert len(_folders(artifacts)) == 9
    done = registry.clean_up(keep=1, **SAY)
    assert planned == done
    assert set(done.removed) == {"linear@1.6.0", "linear@1.7.0"}
    assert done.kept == {
        "linear@1.0.0": ("state PRODUCTION", "rollback"),
        "linear@1.1.0": ("alias champion", "state PRODUCTION"),
        "linear@1.2.0": ("alias shadow",),
        "linear@1.3.0": ("state PRODUCTION",),
        "linear@1.4.0": ("lease serve on host 7",),
        "linear@1.5.0": ("run r1",),
        "linear@1.8.0": ("one of the newest 1",),
    }
    assert _folders(artifacts) == set(done.kept)
    assert {ref: why for ref, why in registry.in_use().items() if ref != "linear@1.9.0"} == {
        ref: why for ref, why in done.kept.items() if ref != "linear@1.8.0"
    }


def test_records_outlive_artefacts(registry: Registry, add: Add) -> None:
    """A removed version is RETIRED, keeps metrics, lineage and history, and cannot come back."""
    add(), add()
    registry.clean_up(keep=1, **SAY)
    gone = registry.resolve("linear@1.0.0")
    assert (gone.state, gone.location, gone.metrics) == (State.RETIRED, "", {"ic": 0.02})
    assert [(e.what, e.why) for e in registry.history(gone)][-1] == ("removed", "space")
    assert registry.lineage(gone).seed == 7
    with pytest.raises(ModelError, match=r"linear@1.0.0 has no artefact: clean-up took it away"):
        registry.load(gone)
    with pytest.raises(ModelError, match=r"linear@1.0.0 has no artefact to lease"):
        registry.lease(gone, "me")
    with pytest.raises(ConflictError, match="cannot become STAGING: clean-up took its artefact away"):
        registry.transition(gone, "STAGING", **SAY)
    assert registry.clean_up(keep=1, **SAY).removed == ()


@pytest.mark.parametrize("status", ["complete", "failed", "incomplete"])
def test_a_finished_run_no_longer_holds_its_models(registry: Registry, add: Add, store: Store, status: str) -> None:
    """A run that may be resumed does; one that is over does not. `extra["models"]` counts like members."""
    add()
    record = RunRecord(
        run_id="r1", mode="run", created_ns=0, seed=0, symbols=("A",), extra={"models": ["linear@1.0.0"]}
    )
    store.create_run(record)
    assert registry.in_use() == {"linear@1.0.0": ("run r1",)}
    store.finish_run("r1", status, 1, {})  # type: ignore[arg-type]
    assert bool(registry.in_use()) == (status == "incomplete")


def test_leases_end(registry: Registry, add: Add, clock: ManualClock) -> None:
    """By release, or when their time is over; leasing again sets the time anew."""
    add()
    assert registry.lease("linear", "a", ttl_s=10).ref == "linear@1.0.0"
    registry.lease("linear", "b")
    assert registry.in_use("linear") == {"linear@1.0.0": ("lease a", "lease b")}
    clock.set(clock.now_ns() + 9_000_000_000)
    registry.lease("linear", "a", ttl_s=10)
    clock.set(clock.now_ns() + 9_000_000_000)
    assert registry.release("linear", "b")
    assert not registry.release("linear", "b")
    assert registry.in_use("linear") == {"linear@1.0.0": ("lease a",)}
    clock.set(clock.now_ns() + 1_000_000_000)
    assert registry.in_use("linear") == {}
    with pytest.raises(DataError, match="holder is empty"):
        registry.lease("linear", "")


def test_a_folder_that_could_not_be_deleted_goes_next_time(
    registry: Registry, add: Add, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record says removed before the files go; files that a crash leaves are the next clean-up's."""
    add(), add()

    def crash(_location: str) -> None:
        raise ModelError("the machine stopped")

    with monkeypatch.context() as patched:
        patched.setattr(registry._artifacts, "delete", crash)
        with pytest.raises(ModelError, match="the machine stopped"):
            registry.clean_up(keep=1, **SAY)
    assert registry.resolve("linear@1.0.0").location == ""
    assert len(_folders(artifacts)) == 2
    done = registry.clean_up(keep=1, **SAY)
    assert (done.removed, done.leftovers) == ((), 1)
    assert _folders(artifacts) == {"linear@1.1.0"}


def test_only_the_named_model(registry: Registry, add: Add) -> None:
    """Another model is left alone; an unknown one and a negative number are refused."""
    add("linear"), add("boosting")
    assert registry.clean_up(keep=0, **SAY, name="boosting").removed == ("boosting@1.0.0",)
    with pytest.raises(NotFoundError, match="did you mean 'linear'"):
        registry.clean_up(keep=0, **SAY, name="linaer")
    with pytest.raises(DataError, match="keep=-1; 0 or more"):
        registry.clean_up(keep=-1, **SAY)
