"""The conductor over a real store, registry and router: what is wanted is served, and nothing else is lost by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.backend import InProcessBackend
from serve.conductor import Applied, Conductor, Terms
from serve.guardrail import Guardrails
from serve.plan import Plan, Serving, deployment_of
from serve.routing import Challenge, Router
from serve.service import EnsembleService
from serve.wanted import Wanted, intent_of, realised
from trader.core.errors import ModelError, OperationError
from trader.experiments import actions
from trader.experiments.assignment import Split
from trader.experiments.book import ExperimentBook
from trader.models.base import create
from trader.registry import Lineage, Registry
from trader.settings import RegistrySettings
from trader.storage import Store
from trader.storage.serving import ServingLog

NAMES = ("momentum_252_21", "return_5d")
SYMBOLS = [f"S{n}" for n in range(20)]
ROWS = np.random.default_rng(3).normal(size=(1, len(SYMBOLS), 2))
SAY = {"who": "ada", "why": "a test"}


class InProcess:
    """An application in this process: services of folders, and a router that is told of them."""

    def __init__(self, clock: Clock) -> None:
        self.services: dict[str, EnsembleService] = {}
        self.stages: list[Serving] = []
        self.plan: Plan | None = None
        self._clock = clock
        self._router: Router | None = None

    def deploy(self, serving: Serving) -> None:
        try:
            for folder, weights in serving.folders.items():
                service = self.services.setdefault(deployment_of(folder), EnsembleService(folder))
                service.reconfigure({"weights": weights})
        except ModelError as error:
            raise OperationError(f"did not start: {error}") from error
        wanted = {deployment_of(folder) for folder in serving.folders}
        self.services = {name: service for name, service in self.services.items() if name in wanted}
        self.stages.append(serving)
        plan, backends = Plan.of(serving), {n: InProcessBackend(s) for n, s in self.services.items()}
        if plan == self.plan:
            return
        challenger = None
        if plan.challenger is not None:
            challenger = (backends[plan.challenger], Challenge(Split(plan.experiment, plan.share, plan.holdout)))
        routes = (backends[plan.champion], challenger, backends.get(plan.fallback or ""))
        if self._router is None:
            self._router = Router(*routes, guardrails=Guardrails(), clock=self._clock)
        else:
            self._router.use(*routes)
        self.plan = plan

    def check(self, folder: Path) -> None:
        self.services[deployment_of(folder)].probe()

    def standing(self) -> Mapping[str, Any]:
        assert self.plan is not None
        return {"plan": self.plan.model_dump(), **self.router.standing()}

    @property
    def router(self) -> Router:
        assert self._router is not None
        return self._router

    async def members(self) -> tuple[set[str], set[str]]:
        """Return the members and the variants of an answer."""
        routed = await self.router.score(SYMBOLS, NAMES, ROWS)
        return set(routed.prediction.members), set(routed.variants)

    async def fail(self, name: str, seconds: int) -> None:
        """Let a deployment fail each of ten requests a second for a while, and then be as it was."""
        service = self.services[name]

        def broken(*_: object) -> None:
            raise ModelError("broken")

        service.score = broken  # type: ignore[method-assign, assignment]
        for _ in range(10 * seconds):
            self._clock.now += 0.1
            try:
                await self.router.score(SYMBOLS, NAMES, ROWS)
            except ModelError:
                continue
        del service.score


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclasses.dataclass
class Stage:
    """What a test works with."""

    store: Store
    registry: Registry
    settings: RegistrySettings
    log: ServingLog
    app: InProcess
    conductor: Conductor
    terms: Terms
    clock: Clock

    def want(self, **fields: Any) -> None:
        self.log.add("wanted", Wanted.of(**fields).model_dump(mode="json"), **SAY)
        self.conductor.step()

    def kinds(self) -> list[str]:
        return [event.kind for event in reversed(self.log.page())]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Three versions of a linear model; the first, the champion, is up beside a momentum model."""
    settings = RegistrySettings(artifacts=str(tmp_path / "artifacts"))
    url = f"sqlite:///{tmp_path}/trader.db"
    with Store.open(url) as store:
        registry = Registry.of(store, settings)
        for n, kind in enumerate(("linear", "linear", "linear", "momentum")):
            rows = np.random.default_rng(n).normal(size=(200, 2))
            (tmp_path / f"m{n}").mkdir()
            create(kind).fit(rows, rows @ [1.0, -n], feature_names=NAMES).save(tmp_path / f"m{n}")
            lineage = Lineage(data_fingerprint="f", settings={}, seed=1)
            registry.register(kind, tmp_path / f"m{n}", lineage=lineage, report={}, metrics={}, **SAY)
        registry.promote("linear@1.0.0", **SAY)
        log, clock = ServingLog(store, "standing"), Clock()
        terms = Terms("standing", url, settings, tmp_path / "served", rollback_window_s=100.0)
        wanted = Wanted.of(members=("linear@champion", "momentum"))
        intent = intent_of(wanted, store, settings)
        serving, _ = realised(intent, registry, terms.folder, 2.0)
        app = InProcess(clock)
        app.deploy(serving)
        log.add("wanted", wanted.model_dump(mode="json"), **SAY)
        log.add("applied", Applied(serving, intent).to_dict(), **SAY)
        conductor = Conductor(terms, app, clock=clock)
        yield Stage(store, registry, settings, log, app, conductor, terms, clock)
        conductor.close()


async def test_new_weights_reach_the_service_that_runs(stage: Stage) -> None:
    before = dict(stage.app.services)
    stage.want(members=("linear@champion", "momentum"), weights={"linear@champion": 3, "momentum": 1})
    assert stage.app.services == before
    (service,) = before.values()
    assert {member.key: member.weight for member in service.describe().members} == {
        "linear@1.0.0": 0.75,
        "momentum@1.0.0": 0.25,
    }
    assert stage.kinds() == ["wanted", "applied", "wanted", "applied"]


async def test_a_champion_that_changes_is_followed(stage: Stage) -> None:
    """The new version is loaded before it answers; the old one is kept, and let go of when its time is over."""
    stage.registry.promote("linear@1.1.0", **SAY)
    stage.conductor.step()
    assert await stage.app.members() == ({"linear@1.1.0", "momentum@1.0.0"}, {"champion"})
    loaded, moved = stage.app.stages[1:]
    assert Plan.of(loaded) == Plan.of(stage.app.stages[0])
    assert set(moved.folders) == set(loaded.folders)
    stage.clock.now += 99
    stage.conductor.step()
    assert len(stage.app.services) == 2
    stage.clock.now += 2
    stage.conductor.step()
    assert len(stage.app.services) == 1
    assert await stage.app.members() == ({"linear@1.1.0", "momentum@1.0.0"}, {"champion"})


async def test_an_experiment_is_served_promoted_and_taken_back(stage: Stage) -> None:
    """Its share changes in place; promotion makes the challenger champion, rollback takes the old one, still warm."""
    fields = {"challenger_share": 0.5}
    actions.register(stage.store, stage.settings, "e", "linear@1.0.0", "linear@1.1.0", fields, **SAY)
    members = ("linear@champion", "momentum")
    stage.want(members=members, experiment="e")
    assert await stage.app.members() == (
        {"linear@1.0.0", "linear@1.1.0", "momentum@1.0.0"},
        {"champion", "challenger"},
    )
    stage.want(members=members, experiment="e", share=1.0)
    assert (await stage.app.members())[1] == {"challenger"}
    actions.promote(stage.store, stage.settings, "e", **SAY, force=True)
    stage.conductor.step()
    assert await stage.app.members() == ({"linear@1.1.0", "momentum@1.0.0"}, {"champion"})
    deployed = len(stage.app.stages)
    actions.rollback(stage.store, stage.settings, "e", **SAY)
    stage.conductor.step()
    assert await stage.app.members() == ({"linear@1.0.0", "momentum@1.0.0"}, {"champion"})
    assert len(stage.app.stages) == deployed + 1  # nothing had to be loaded


async def test_a_challenger_that_fails_is_taken_off_for_good(stage: Stage) -> None:
    actions.register(stage.store, stage.settings, "e", "linear@1.0.0", "linear@1.1.0", {}, **SAY)
    stage.want(members=("linear@champion", "momentum"), experiment="e", share=1.0)
    plan = stage.app.plan
    assert plan is not None
    assert plan.challenger is not None
    await stage.app.fail(plan.challenger, 9)
    assert (await stage.app.members())[1] == {"champion"}  # the router did not wait for the conductor
    stage.conductor.step()
    experiment = ExperimentBook(stage.store).get("e")
    assert (experiment.phase, experiment.entries[-1].said.who) == ("stopped", "guardrail")
    assert "challenger: error_rate above 0.02 in" in experiment.entries[-1].said.why
    assert stage.kinds()[-2:] == ["tripped", "applied"]
    assert len(stage.app.services) == 1


async def test_a_new_champion_that_fails_gives_way_to_the_old_one(stage: Stage) -> None:
    """At once by the router; then for good, by wanting the versions before, and the bad one is not kept."""
    stage.registry.promote("linear@1.1.0", **SAY)
    stage.conductor.step()
    assert stage.app.plan is not None
    await stage.app.fail(stage.app.plan.champion, 9)
    assert (await stage.app.members())[0] == {"linear@1.0.0", "momentum@1.0.0"}
    stage.conductor.step()
    assert (await stage.app.members())[0] == {"linear@1.0.0", "momentum@1.0.0"}
    wanted = stage.log.latest("wanted")
    assert wanted is not None
    assert (wanted.who, wanted.payload["members"]) == ("guardrail", ["linear@1.0.0", "momentum@1.0.0"])
    assert stage.kinds()[-3:] == ["wanted", "tripped", "applied"]
    assert len(stage.app.services) == 1


async def test_a_promotion_that_fails_is_taken_back_in_the_registry(stage: Stage) -> None:
    actions.register(stage.store, stage.settings, "e", "linear@1.0.0", "linear@1.1.0", {}, **SAY)
    stage.want(members=("linear@champion", "momentum"), experiment="e")
    actions.promote(stage.store, stage.settings, "e", **SAY, force=True)
    stage.conductor.step()
    assert stage.app.plan is not None
    await stage.app.fail(stage.app.plan.champion, 9)
    stage.conductor.step()
    assert stage.registry.resolve("linear@champion").ref == "linear@1.0.0"
    assert ExperimentBook(stage.store).get("e").phase == "rolled back"
    assert (await stage.app.members())[0] == {"linear@1.0.0", "momentum@1.0.0"}


async def test_what_cannot_be_is_said_once_and_changes_nothing(stage: Stage) -> None:
    """Files that were changed, then a version that does not exist; then something that can be again."""
    before = stage.app.plan
    version = stage.registry.resolve("linear@1.2.0")
    for file in Path(stage.settings.artifacts, version.location).iterdir():
        file.chmod(0o644)
        file.write_bytes(file.read_bytes() + b" ")
    stage.want(members=("linear@1.2.0",))
    stage.conductor.step()
    stage.want(members=("linear@9.0.0",))
    stage.conductor.step()
    assert stage.app.plan == before
    assert stage.kinds() == ["wanted", "applied", "wanted", "failed", "wanted", "failed"]
    failed = stage.log.latest("failed")
    assert failed is not None
    assert "9.0.0" in failed.payload["error"]
    stage.want(members=("linear@1.1.0",))
    assert (await stage.app.members())[0] == {"linear@1.1.0"}


async def test_another_conductor_goes_on(stage: Stage) -> None:
    """What it has to know is in the store: what is served, and what to go back to."""
    stage.registry.promote("linear@1.1.0", **SAY)
    stage.conductor.step()
    assert stage.app.plan is not None
    stage.conductor.close()
    other = Conductor(stage.terms, stage.app, clock=stage.clock)
    deployed = len(stage.app.stages)
    other.step()
    assert len(stage.app.stages) == deployed
    await stage.app.fail(stage.app.plan.champion, 9)
    other.step()
    other.close()
    assert (await stage.app.members())[0] == {"linear@1.0.0", "momentum@1.0.0"}


async def test_a_store_that_is_gone_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is served on, guardrails hold, and all is written down, in order, when the store is back."""
    stage.registry.promote("linear@1.1.0", **SAY)
    stage.conductor.step()
    assert stage.app.plan is not None
    file = Path(stage.terms.store_url.removeprefix("sqlite:///"))
    away = file.rename(file.with_suffix(".away"))
    file.mkdir()
    stage.conductor.close()
    await stage.app.fail(stage.app.plan.champion, 9)
    for _ in range(3):
        stage.conductor.step()
    assert (await stage.app.members())[0] == {"linear@1.0.0", "momentum@1.0.0"}
    file.rmdir()
    away.rename(file)
    stage.conductor.step()
    assert stage.kinds()[-3:] == ["wanted", "tripped", "applied"]
