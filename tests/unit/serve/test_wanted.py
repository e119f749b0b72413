"""What is wanted of an application: what goes together, and which versions it means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.wanted import Intent, Wanted, intent_of, members_of, realised
from trader.core.errors import ConflictError, NotFoundError, SettingsError, UserError
from trader.experiments import actions
from trader.models.base import create
from trader.registry import Lineage, Registry
from trader.settings import RegistrySettings
from trader.storage import Store

NAMES = ("momentum_252_21", "return_5d")
SAY = {"who": "ada", "why": "a test"}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Store, RegistrySettings]]:
    """Two versions of a linear model and one of momentum; the first linear is champion."""
    settings = RegistrySettings(artifacts=str(tmp_path / "artifacts"))
    rows = np.random.default_rng(1).normal(size=(100, 2))
    with Store.open("sqlite://") as store:
        registry = Registry.of(store, settings)
        for n, kind in enumerate(("linear", "linear", "momentum")):
            (tmp_path / f"m{n}").mkdir()
            create(kind).fit(rows, rows[:, 0], feature_names=NAMES).save(tmp_path / f"m{n}")
            lineage = Lineage(data_fingerprint="f", settings={}, seed=1)
            registry.register(kind, tmp_path / f"m{n}", lineage=lineage, report={}, metrics={}, **SAY)
        registry.promote("linear@1.0.0", **SAY)
        yield store, settings


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "either members or models are needed"),
        ({"members": ("a",), "models": Path("m")}, "either members or models"),
        ({"members": ("a", "b"), "weights": {"a": 1}}, r"weights are given for \['a'\]; the members are \['a', 'b'\]"),
        ({"models": Path("m"), "experiment": "e"}, "needs members that are registered versions"),
        ({"members": ("a",), "share": 0.5}, "share=0.5 needs an experiment"),
        ({"members": ("a",), "experiment": "e", "share": 1.5}, "share: Input should be less than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Wanted.of(**fields)


def test_references_mean_versions(kept: tuple[Store, RegistrySettings]) -> None:
    """An alias is what it points to now; weights go with the reference that was given; nothing is lost on the way."""
    store, settings = kept
    wanted = Wanted.of(members=("linear@champion", "momentum"), weights={"momentum": 1, "linear@champion": 3})
    intent = intent_of(wanted, store, settings)
    assert intent == Intent(("linear@1.0.0", "momentum@1.0.0"), None, (3.0, 1.0))
    assert Intent.from_dict(intent.to_dict()) == intent
    assert intent.pinned() == Wanted.of(
        members=("linear@1.0.0", "momentum@1.0.0"), weights={"linear@1.0.0": 3, "momentum@1.0.0": 1}
    )
    assert Wanted.of(**wanted.model_dump(mode="json")) == wanted
    with pytest.raises(NotFoundError):
        intent_of(Wanted.of(members=("linear@7.0.0",)), store, settings)


def test_an_experiment_means_what_became_of_it(kept: tuple[Store, RegistrySettings]) -> None:
    """A challenger while it runs, in the champion's place when promoted, gone when stopped; a shadow has no share."""
    store, settings = kept
    both = ("linear@1.0.0", "linear@1.1.0")
    for name in ("e", "f"):
        actions.register(store, settings, name, *both, {"challenger_share": 0.25}, **SAY)
    actions.register(store, settings, "s", *both, {"kind": "shadow", "challenger_share": 0.0}, **SAY)

    def means(name: str, **fields: Any) -> Intent:
        return intent_of(Wanted.of(members=("linear@1.0.0", "momentum"), experiment=name, **fields), store, settings)

    running = means("e")
    assert (running.champion[0], running.challenger[0]) == both
    assert running.split is not None
    assert running.split.challenger == 0.25
    assert Intent.from_dict(running.to_dict()) == running
    canary = means("e", share=0.05).split
    assert canary is not None
    assert (canary.salt, canary.challenger) == ("e", 0.05)
    with pytest.raises(ConflictError, match="'s' is a shadow"):
        means("s", share=0.5)
    with pytest.raises(ConflictError, match=r"compares linear@1.1.0 with linear@1.0.0; momentum@1.0.0 are served"):
        intent_of(Wanted.of(members=("momentum",), experiment="e"), store, settings)
    actions.stop(store, "f", **SAY)
    assert means("f") == Intent(("linear@1.0.0", "momentum@1.0.0"), None, ())
    actions.promote(store, settings, "e", **SAY, force=True)
    assert means("e") == Intent(("linear@1.1.0", "momentum@1.0.0"), None, ())


def test_a_folder_is_served_with_other_weights(kept: tuple[Store, RegistrySettings], tmp_path: Path) -> None:
    store, settings = kept
    registry = Registry.of(store, settings)
    made, _ = realised(
        intent_of(Wanted.of(members=("linear", "momentum")), store, settings), registry, tmp_path / "e", 2.0
    )
    weights = {"momentum@1.0.0": 1.0, "linear@1.0.0": 2.0}
    intent = intent_of(Wanted.of(models=made.model_dir, weights=weights), store, settings)
    assert members_of(intent) == ("linear@1.0.0", "momentum@1.0.0")
    assert realised(intent, registry, tmp_path / "e", 2.0)[0].weights == weights
    assert intent.pinned() == Wanted.of(models=made.model_dir, weights=weights)
    with pytest.raises(UserError, match="weights are given for"):
        intent_of(Wanted.of(models=made.model_dir, weights={"linear@1.0.0": 1.0}), store, settings)
    for wrong, said in (((-1.0, 1.0), r"weights\['linear@1.0.0'\]=-1.0"), ((0.0, 0.0), "are all 0")):
        with pytest.raises(SettingsError, match=said):
            realised(Intent((), made.model_dir, wrong), registry, tmp_path / "e", 2.0)
