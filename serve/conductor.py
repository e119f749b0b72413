"""Keeps a standing application at what is wanted of it: versions, weights, experiments, without a restart. No Ray."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog

from serve.plan import Plan, Serving, retired, stages
from serve.wanted import Intent, Wanted, intent_of, realised
from trader.core.errors import ConflictError, OperationError, StoreError, TraderError
from trader.experiments import actions
from trader.experiments.book import ExperimentBook
from trader.registry import Registry
from trader.settings import RegistrySettings
from trader.storage import Store
from trader.storage.serving import ServingEvent, ServingKind, ServingLog

__all__ = ["Applied", "Conductor", "Deployer", "Terms"]

_log = structlog.get_logger(__name__)
_GUARDRAIL = "guardrail"


class Deployer(Protocol):
    """How an application is changed."""

    def deploy(self, serving: Serving) -> None:
        """Make it so in place, and return when all replicas are well; raise OperationError if they will not be."""
        ...

    def check(self, folder: Path) -> None:
        """Raise OperationError unless the ensemble of a folder is deployed, is the one of its files, and answers."""
        ...

    def standing(self) -> Mapping[str, Any]:
        """Return what the ingress says of its plan and its variants; raise OperationError if it does not answer."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What a conductor works with.

    Parameters
    ----------
    app : str
        Name of the application.
    store_url : str
    registry : RegistrySettings
    folder : Path
        Where ensembles are saved.
    rollback_window_s : float
        How long the champion before is kept warm.
    challenger_timeout_s : float
        How long a challenger may take for an answer.
    """

    app: str
    store_url: str
    registry: RegistrySettings
    folder: Path
    rollback_window_s: float = 600.0
    challenger_timeout_s: float = 2.0


@dataclasses.dataclass(slots=True)
class Applied:
    """What is served, as the store keeps it.

    Parameters
    ----------
    serving : Serving
    intent : Intent
        What it was made from.
    before : Wanted, optional
        What would bring the champion before this one back.
    """

    serving: Serving
    intent: Intent
    before: Wanted | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "serving": self.serving.model_dump(mode="json"),
            "intent": self.intent.to_dict(),
            "before": None if self.before is None else self.before.model_dump(mode="json"),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Applied:
        """Return what `to_dict` was made of."""
        before = content["before"]
        return cls(
            Serving.model_validate(content["serving"]),
            Intent.from_dict(content["intent"]),
            None if before is None else Wanted.of(**before),
        )


class Conductor:
    """Compares what is wanted with what is served, and takes the steps between them; `step` is called every second.

    All it knows is in the store, so a new one goes on where another has ended. While the store is gone the application
    stays as it is.

    Parameters
    ----------
    terms : Terms
    deployer : Deployer
    on_change : callable, optional
        Told what is served after each change.
    clock : callable
        Seconds of a monotonic clock.
    """

    def __init__(
        self,
        terms: Terms,
        deployer: Deployer,
        *,
        on_change: Callable[[Applied], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terms = terms
        self._deployer = deployer
        self._on_change = on_change
        self._clock = clock
        self._now: Applied | None = None
        self._switched_s = clock()
        self._heeded: Mapping[str, Any] = {}
        self._given_up: tuple[int, Intent] | None = None
        self._distrusted: Path | None = None
        self._unsaid: collections.deque[tuple[ServingKind, Mapping[str, Any], str, str]] = collections.deque()
        self._opened: Store | None = None

    def step(self) -> None:
        """Heed broken guardrails, go to what is wanted, and let go of what is no longer needed; errors are logged."""
        for act in (self._flush, self._heed, self._reconcile, self._retire, self._flush):
            try:
                if self._now is None:
                    self._now = self._begin()
                act(self._now)
            except StoreError as error:
                self.close()
                _log.warning("store_unavailable", app=self._terms.app, during=act.__name__, error=str(error))
            except TraderError as error:
                _log.error("conducting_failed", app=self._terms.app, during=act.__name__, error=str(error))

    def close(self) -> None:
        """Let go of the store; the next step opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _begin(self) -> Applied:
        event = self._log().latest("applied")
        if event is None:
            raise OperationError(f"the store does not know what {self._terms.app!r} serves")
        now = Applied.from_dict(event.payload)
        if self._deployer.standing()["plan"]["fallback"] is None:
            now.serving = retired(now.serving)
        return now

    def _heed(self, now: Applied) -> None:
        """Write down what a guardrail has taken off the routes, and want it to stay off."""
        standing = self._deployer.standing()
        breaches = standing["breaches"]
        if breaches == self._heeded or standing["plan"] != Plan.of(now.serving).model_dump():
            return
        log = self._log()
        event = log.latest("wanted")
        wanted = None if event is None else Wanted.of(**event.payload)
        experiment = None if wanted is None else wanted.experiment
        why = "; ".join(f"{variant}: {_words(breach)}" for variant, breach in breaches.items())
        if "challenger" in breaches and experiment is not None:
            self._end_experiment(experiment, why)
        if "champion" in breaches:
            self._distrusted = now.serving.model_dir
            if not (experiment is not None and self._took_back(experiment, why)) and now.before is not None:
                log.add("wanted", now.before.model_dump(mode="json"), who=_GUARDRAIL, why=why)
        self._heeded = breaches
        self._say("tripped", {"breaches": breaches, "plan": standing["plan"]}, who=_GUARDRAIL, why=why)
        _log.error("guardrail_tripped", app=self._terms.app, why=why)

    def _end_experiment(self, name: str, why: str) -> None:
        try:
            actions.stop(self._store(), name, who=_GUARDRAIL, why=why)
        except ConflictError as error:  # somebody was quicker
            _log.info("experiment_over", experiment=name, reason=str(error))

    def _took_back(self, experiment: str, why: str) -> bool:
        """Take the promotion of an experiment back, if there is one; return whether."""
        store = self._store()
        if ExperimentBook(store).get(experiment).phase != "promoted":
            return False
        try:
            actions.rollback(store, self._terms.registry, experiment, who=_GUARDRAIL, why=why)
        except ConflictError as error:
            _log.warning("promotion_stays", experiment=experiment, reason=str(error))
            return False
        return True

    def _reconcile(self, now: Applied) -> None:
        event = self._log().latest("wanted")
        if event is None:
            return
        try:
            intent = intent_of(Wanted.of(**event.payload), self._store(), self._terms.registry)
        except StoreError:
            raise
        except TraderError as error:
            self._give_up(event, now.intent, error)
            return
        if intent != now.intent and self._given_up != (event.number, intent):
            self._move(now, event, intent)

    def _move(self, now: Applied, event: ServingEvent, intent: Intent) -> None:
        began, terms = self._clock(), self._terms
        serving = now.serving
        try:
            registry = Registry.of(self._store(), terms.registry)
            wanted, scales_from = realised(intent, registry, terms.folder, terms.challenger_timeout_s)
            for stage in stages(now.serving, wanted):
                self._deployer.deploy(stage)
                for folder in stage.warm:
                    self._deployer.check(folder)
                serving = stage
        except StoreError:
            raise
        except TraderError as error:
            self._deployer.deploy(now.serving)
            self._give_up(event, intent, error)
            return
        before = now.before
        if serving.model_dir != now.serving.model_dir:
            before, self._switched_s = now.intent.pinned(), self._clock()
        if serving.fallback_dir is not None and serving.fallback_dir == self._distrusted:
            serving, before = retired(serving), None
            self._deployer.deploy(serving)
            self._distrusted = None
        self._now, self._heeded = Applied(serving, intent, before), {}
        more = {"revision": event.number, "scales_from": scales_from, "seconds": self._clock() - began}
        self._say("applied", self._now.to_dict() | more, why=event.why)
        if self._on_change is not None:
            self._on_change(self._now)

    def _give_up(self, event: ServingEvent, intent: Intent, error: TraderError) -> None:
        """Say once that what is wanted cannot be; it is tried again when something else is wanted or meant."""
        if self._given_up == (event.number, intent):
            return
        self._given_up = (event.number, intent)
        payload = {"revision": event.number, "error": str(error)}
        self._say("failed", payload, why=event.why)
        _log.error("not_applied", app=self._terms.app, revision=event.number, error=str(error))

    def _retire(self, now: Applied) -> None:
        """End what is kept warm for a rollback when its time is over."""
        if now.serving.fallback_dir is None or self._clock() - self._switched_s < self._terms.rollback_window_s:
            return
        self._deployer.deploy(retired(now.serving))
        now.serving = retired(now.serving)

    def _say(self, kind: ServingKind, payload: Mapping[str, Any], *, who: str = "conductor", why: str) -> None:
        """Have an event written at the end of the step or, in order, when the store is back."""
        self._unsaid.append((kind, payload, who, why))

    def _flush(self, _: Applied) -> None:
        while self._unsaid:
            kind, payload, who, why = self._unsaid[0]
            self._log().add(kind, payload, who=who, why=why)
            self._unsaid.popleft()

    def _log(self) -> ServingLog:
        return ServingLog(self._store(), self._terms.app)

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = Store.open(self._terms.store_url)
        return self._opened


def _words(breach: Mapping[str, Any]) -> str:
    return f"{breach['limit']} above {breach['allowed']:g} in {breach['cases']} of {breach['n']} requests"
