"""From training to retirement: states, aliases, promotion and the way back."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trader.core.clock import ManualClock
from trader.core.errors import ConflictError, DataError, ModelError, NotFoundError
from trader.registry import Alias, Environment, Lineage, ModelVersion, Registry, State

SAY = {"who": "ada", "why": "a test"}
Add = Callable[..., ModelVersion]


def test_a_registered_model_loads_again_and_scores_the_same(registry: Registry, add: Add, saved: Path) -> None:
    """What `load` returns says what the model that was saved says."""
    from trader.models.base import model_class

    version = add()
    rows = np.random.default_rng(1).normal(size=(5, 3))
    model = registry.load(version)
    assert (version.ref, version.state, model.name) == ("linear@1.0.0", State.STAGING, "linear")
    assert model.feature_names == ("a", "b", "c")
    expected = model_class("linear").load(saved).predict_panel(rows[:, None, :])
    np.testing.assert_array_equal(model.predict_panel(rows[:, None, :]), expected)


def test_a_version_in_training_has_a_number_but_no_artefact(
    registry: Registry, lineage: Callable[..., Lineage]
) -> None:
    """`begin` takes the number; nothing can be fetched, promoted or given an alias."""
    version = registry.begin("linear", lineage=lineage(), **SAY)
    assert (version.ref, version.state, version.n_bytes) == ("linear@1.0.0", State.TRAINING, 0)
    with pytest.raises(ModelError, match=r"linear@1.0.0 has no artefact: it is TRAINING"):
        registry.fetch("linear@1.0.0")
    with pytest.raises(ConflictError, match="is TRAINING and cannot become PRODUCTION; FAILED, STAGING are allowed"):
        registry.promote(version, **SAY)
    with pytest.raises(ConflictError, match="is TRAINING; only PRODUCTION and STAGING can be shadow"):
        registry.set_alias("linear", "shadow", version, expected=None, **SAY)
    with pytest.raises(ConflictError, match="`complete` moves it to STAGING with its artefact"):
        registry.transition(version, State.STAGING, **SAY)


def test_a_failed_version_keeps_its_number_and_reason(
    registry: Registry, add: Add, lineage: Callable[..., Lineage]
) -> None:
    """The next version does not take the number of one that failed, and its history says why it did."""
    failed = registry.fail(registry.begin("linear", lineage=lineage(), **SAY), "loss was NaN in batch 7")
    assert failed.state is State.FAILED
    assert registry.history(failed)[-1].why == "loss was NaN in batch 7"
    assert add().ref == "linear@1.1.0"
    with pytest.raises(ConflictError, match="is FAILED and cannot become STAGING; no other state is allowed"):
        registry.transition(failed, "staging", **SAY)


def test_numbers_follow_semantic_versioning(registry: Registry, add: Add) -> None:
    """minor, patch and major bump the highest version of that name alone."""
    bumps = ("minor", "patch", "patch", "major", "minor")
    assert [add(bump=bump).version for bump in bumps] == ["1.0.0", "1.0.1", "1.0.2", "2.0.0", "2.1.0"]
    assert add("other").version == "1.0.0"


def test_promotion_and_two_rollbacks(registry: Registry, add: Add) -> None:
    """Each rollback goes one champion further back; who was left goes to staging."""
    for version in [add() for _ in range(3)]:
        registry.promote(version, **SAY)
    assert [v.state for v in registry.versions()] == [State.PRODUCTION] * 3
    moved = registry.rollback("linear", **SAY)
    assert (moved.before, moved.after, moved.states) == ("1.2.0", "1.1.0", {"1.2.0": State.STAGING})
    assert registry.rollback("linear", **SAY).after == "1.0.0"
    with pytest.raises(ConflictError, match="no former champion to go back to"):
        registry.rollback("linear", **SAY)
    assert registry.resolve("linear").ref == "linear@1.0.0"
    moved = registry.promote("linear@1.2.0", **SAY)
    assert (moved.before, moved.after) == ("1.0.0", "1.2.0")
    assert registry.rollback("linear", **SAY).after == "1.0.0"


def test_former_champions_beyond_the_window_are_retired(registry: Registry, add: Add) -> None:
    """With a window of two, the third champion before the present one is retired, unless an alias names it."""
    versions = [add() for _ in range(5)]
    registry.promote(versions[0], **SAY)
    registry.set_alias("linear", "shadow", versions[0], expected=None, **SAY)
    moves = [registry.promote(version, **SAY) for version in versions[1:]]
    assert moves[2].states == {"1.3.0": State.PRODUCTION}
    assert moves[3].states == {"1.4.0": State.PRODUCTION, "1.1.0": State.RETIRED}
    retired = next(entry for entry in registry.history("linear@1.1.0") if entry.after == "RETIRED")
    assert retired.why == "left the rollback window of 2 when linear@1.4.0 was promoted"


def test_rollback_passes_over_a_retired_champion(registry: Registry, add: Add) -> None:
    """A former champion that somebody archived does not come back by itself."""
    for version in [add() for _ in range(3)]:
        registry.promote(version, **SAY)
    registry.transition("linear@1.1.0", State.RETIRED, **SAY)
    assert registry.rollback("linear", **SAY).after == "1.0.0"


def test_a_champion_that_was_taken_off_can_come_back(registry: Registry, add: Add) -> None:
    """Taking the alias off leaves no champion, and a rollback gives it back to the last."""
    registry.promote(add(), **SAY)
    registry.set_alias("linear", "champion", None, expected="1.0.0", **SAY)
    with pytest.raises(NotFoundError, match="has no champion"):
        registry.resolve("linear@champion")
    moved = registry.rollback("linear", **SAY)
    assert (moved.before, moved.after) == (None, "1.0.0")


def test_an_alias_changes_only_from_the_expected_version(registry: Registry, add: Add) -> None:
    """A wrong expectation is refused with the version that has the alias, and nothing changes."""
    add(), add()
    registry.set_alias("linear", Alias.CHALLENGER, "1.0.0", expected=None, **SAY)
    for wrong in (None, "1.1.0"):
        with pytest.raises(ConflictError, match=r"the challenger of 'linear' is 1.0.0, not (nobody|1.1.0); it was not"):
            registry.set_alias("linear", "challenger", "1.1.0", expected=wrong, **SAY)
    with pytest.raises(ConflictError, match=r"the champion of 'linear' is nobody, not 1.0.0"):
        registry.promote("linear@1.1.0", expected="1.0.0", **SAY)
    assert registry.resolve("linear@1.1.0").state is State.STAGING
    assert registry.resolve("linear@challenger").version == "1.0.0"
    moved = registry.set_alias("linear", "challenger", "linear@1.1.0", expected="linear@challenger", **SAY)
    assert (moved.before, moved.after) == ("1.0.0", "1.1.0")


def test_states_that_an_alias_forbids(registry: Registry, add: Add) -> None:
    """The champion is in production, and nothing with an alias is retired."""
    registry.promote(add(), **SAY)
    for state in ("STAGING", "RETIRED"):
        with pytest.raises(ConflictError, match=rf"linear@1.0.0 is the champion and cannot become {state}"):
            registry.transition("linear@1.0.0", state, **SAY)
    with pytest.raises(ConflictError, match="is STAGING; only PRODUCTION can be champion"):
        registry.set_alias("linear", "champion", add(), expected="1.0.0", **SAY)
    with pytest.raises(ConflictError, match="is the champion already"):
        registry.promote("linear", **SAY)


def test_a_suspect_report_must_be_acknowledged(registry: Registry, add: Add) -> None:
    """It cannot reach production by any way until somebody says why it is right; that is kept."""
    add(report={"suspect": ["accuracy 0.71 > 0.60"]})
    for attempt in (
        lambda: registry.promote("linear@1.0.0", **SAY),
        lambda: registry.transition("linear@1.0.0", "PRODUCTION", **SAY),
    ):
        with pytest.raises(ConflictError, match=r"the report of linear@1.0.0 is SUSPECT; acknowledge"):
            attempt()
    registry.acknowledge("linear@1.0.0", "grace", "the signal is planted")
    assert registry.promote("linear@1.0.0", **SAY).after == "1.0.0"
    assert [(e.who, e.why) for e in registry.history("linear") if e.what == "acknowledged"] == [
        ("grace", "the signal is planted")
    ]
    with pytest.raises(ConflictError, match="is not SUSPECT"):
        registry.acknowledge(add(), **SAY)


def test_history_tells_everything_in_order(registry: Registry, add: Add, clock: ManualClock) -> None:
    """Transitions and aliases, gained and lost, with who and why and when."""
    first, second = add(), add()
    registry.promote(first, "ada", "best so far")
    clock.set(clock.now_ns() + 5)
    registry.promote(second, "grace", "better")
    found = [(e.what, e.before, e.after, e.who) for e in registry.history(first)]
    assert found == [
        ("state", None, "TRAINING", "ada"),
        ("state", "TRAINING", "STAGING", "ada"),
        ("state", "STAGING", "PRODUCTION", "ada"),
        ("alias", None, "champion", "ada"),
        ("alias", "champion", None, "grace"),
    ]
    assert registry.history(first)[-1].ts_ns == clock.now_ns()


@pytest.mark.parametrize("missing", ["who", "why"])
def test_who_and_why_are_needed(registry: Registry, add: Add, missing: str) -> None:
    """Blank is not enough."""
    add()
    with pytest.raises(DataError, match=f"{missing} is empty"):
        registry.promote("linear", **SAY | {missing: " "})


def test_references(registry: Registry, add: Add) -> None:
    """A bare name is the champion, or else the highest version in staging; unknown ones name the nearest."""
    add(), add(bump="major"), add(bump="patch")
    assert registry.resolve("linear").version == "2.0.1"
    registry.transition("linear@2.0.1", "RETIRED", **SAY)
    assert registry.resolve("linear").version == "2.0.0"
    registry.promote("linear@1.0.0", **SAY)
    assert registry.resolve("linear").version == registry.resolve("linear@champion").version == "1.0.0"
    with pytest.raises(NotFoundError, match=r"model 'liner' does not exist; known are linear; did you mean 'linear'\?"):
        registry.resolve("liner@1.0.0")
    with pytest.raises(NotFoundError, match=r"linear@1.5.0 does not exist; the newest of 3 versions are 2.0.1, 2.0.0"):
        registry.resolve("linear@1.5.0")
    with pytest.raises(NotFoundError, match="model 'linear' has no shadow"):
        registry.resolve("linear@shadow")
    with pytest.raises(DataError, match=r"'other@1.0.0' is a version of 'other'; one of 'linear' is needed"):
        registry.set_alias("linear", "shadow", "other@1.0.0", expected=None, **SAY)


def test_listings(registry: Registry, add: Add) -> None:
    """By name, by state, in pages; newest first, with their aliases."""
    for name in ("linear", "boosting", "linear"):
        add(name)
    registry.promote("linear@1.0.0", **SAY)
    registry.set_alias("linear", "shadow", "1.0.0", expected=None, **SAY)
    assert [v.ref for v in registry.versions()] == ["linear@1.1.0", "boosting@1.0.0", "linear@1.0.0"]
    assert registry.versions()[2].aliases == registry.resolve("linear").aliases == (Alias.CHAMPION, Alias.SHADOW)
    assert [v.version for v in registry.versions("linear")] == ["1.1.0", "1.0.0"]
    assert [v.ref for v in registry.versions(state="staging")] == ["linear@1.1.0", "boosting@1.0.0"]
    (page,) = registry.versions(limit=1)
    assert [v.ref for v in registry.versions(limit=1, before=page.number)] == ["boosting@1.0.0"]
    with pytest.raises(DataError, match=r"state 'STAGNG' is unknown; .* did you mean 'STAGING'"):
        registry.versions(state="STAGNG")
    with pytest.raises(NotFoundError, match="did you mean 'boosting'"):
        registry.versions("bosting")


def test_lineage_report_and_metrics_survive(registry: Registry, add: Add, lineage: Callable[..., Lineage]) -> None:
    """Everything comes back as it was given; a parent by alias is kept as the version that it was."""
    add()
    registry.promote("linear", **SAY)
    given = lineage(
        span_ns=(5, 9), parent="linear@champion", search="first", trials=50, environment=Environment({"numpy": "2.0"})
    )
    version = add(lineage=given, report={"ic": {"mean": 0.02}, "n": math.inf}, metrics={"ic": 0.02, "auc": math.nan})
    kept = registry.lineage(version)
    assert kept.parent == "linear@1.0.0"
    assert {**kept.to_dict(), "parent": None} == {**given.to_dict(), "parent": None}
    assert kept.environment == given.environment
    assert registry.report(version) == {"ic": {"mean": 0.02}, "n": math.inf}
    assert version.metrics["ic"] == 0.02
    assert math.isnan(version.metrics["auc"])
    with pytest.raises(NotFoundError, match=r"linear@7.0.0 does not exist"):
        add(lineage=lineage(parent="linear@7.0.0"))


def test_comparison(registry: Registry, add: Add, lineage: Callable[..., Lineage]) -> None:
    """Metrics with intervals, and what differs of lineage, settings and environment, and no more."""
    old, new = Environment({"numpy": "2.0", "torch": "2.1"}), Environment({"numpy": "2.1", "torch": "2.1"})
    add(lineage=lineage(environment=old), metrics={"ic": 0.02, "ic_low": 0.01, "ic_high": 0.03, "auc": 0.5})
    settings = {"models": {"horizon": 10}, "run": {"seed": 7}}
    add(
        lineage=lineage(environment=new, settings=settings, trials=9),
        metrics={"ic": 0.05, "ic_low": 0.04, "ic_high": 0.06},
    )
    found = registry.compare("linear@1.0.0", "linear@1.1.0")
    ic, auc = found.metrics
    assert (ic.a, ic.b, ic.a_interval, ic.b_interval, ic.apart) == (0.02, 0.05, (0.01, 0.03), (0.04, 0.06), True)
    assert (auc.a, auc.b, auc.apart) == (0.5, None, None)
    assert found.lineage == {"trials": (1, 9), "environment": (old.digest, new.digest)}
    assert found.settings == {"models.horizon": (5, 10), "run.seed": (None, 7)}
    assert found.environment == {"numpy": ("2.0", "2.1")}
