"""What people and policies do with experiments: register, look, promote, roll back, stop."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trader.core.clock import Clock, SystemClock
from trader.core.errors import ConflictError, NotFoundError
from trader.experiments.assess import Assessment, assess
from trader.experiments.book import Experiment, ExperimentBook, Happening
from trader.experiments.policy import Ruling, rule
from trader.experiments.spec import ExperimentSpec
from trader.registry import Registry
from trader.registry.records import AliasMove
from trader.settings import RegistrySettings
from trader.storage import Store
from trader.validation.experiments import Verdict

__all__ = ["apply_policy", "conclude", "look", "promote", "record_verdict", "register", "rollback", "stop"]


def register(
    store: Store,
    settings: RegistrySettings,
    name: str,
    champion: str,
    challenger: str,
    fields: Mapping[str, Any],
    *,
    who: str,
    why: str,
) -> ExperimentSpec:
    """Write down an experiment; references such as `linear@champion` become the versions that they mean now.

    Parameters
    ----------
    fields : mapping
        The other fields of `ExperimentSpec`.

    Raises
    ------
    NotFoundError
        If a version does not exist.
    UserError
        If a field is not allowed.
    ConflictError
        If the name is taken.
    """
    registry = Registry.of(store, settings)
    champion, challenger = (registry.resolve(ref).ref for ref in (champion, challenger))
    spec = ExperimentSpec.from_dict({**fields, "name": name, "champion": champion, "challenger": challenger})
    ExperimentBook(store).register(spec, who, why)
    return spec


def look(store: Store, name: str) -> tuple[Experiment, Assessment]:
    """Return an experiment and where it stands; an unknown one raises NotFoundError."""
    experiment = ExperimentBook(store).get(name)
    if experiment.run_id is None:
        return experiment, assess(experiment.spec, ())
    return experiment, assess(
        experiment.spec,
        store.variant_marks(experiment.run_id),
        store.run(experiment.run_id).symbols,
        rolled_back_at=experiment.rolled_back_at,
    )


def promote(
    store: Store, settings: RegistrySettings, name: str, *, who: str, why: str, force: bool = False
) -> AliasMove:
    """Make the challenger champion of its model in the registry.

    Raises
    ------
    ConflictError
        If the experiment has not passed and `force` is not given, is over, or somebody else has changed the champion.
    """
    experiment, found = look(store, name)
    if experiment.has_ended:
        raise ConflictError(f"experiment {name!r} is {experiment.phase} already")
    if found.verdict is not Verdict.PASS and not force:
        raise ConflictError(
            f"experiment {name!r} has not passed: {found.verdict}, {found.reason}; --force overrides it"
        )
    evidence = found.to_dict() | {"forced": found.verdict is not Verdict.PASS}
    move = Registry.of(store, settings).promote(experiment.spec.challenger, who, f"experiment {name}: {why}")
    ExperimentBook(store).add(name, "promoted", evidence, who=who, why=why, run_id=experiment.run_id)
    return move


def rollback(store: Store, settings: RegistrySettings, name: str, *, who: str, why: str) -> AliasMove:
    """Take the promotion of an experiment back.

    Raises
    ------
    ConflictError
        If it was not promoted, or the champion is another version by now.
    """
    experiment, found = look(store, name)
    if experiment.phase != "promoted":
        raise ConflictError(f"experiment {name!r} is {experiment.phase}; only a promotion can be taken back")
    registry = Registry.of(store, settings)
    model = experiment.spec.challenger.partition("@")[0]
    champion = registry.resolve(f"{model}@champion").ref
    if champion != experiment.spec.challenger:
        raise ConflictError(f"the champion of {model!r} is {champion} by now, not {experiment.spec.challenger}")
    move = registry.rollback(model, who, f"experiment {name}: {why}")
    ExperimentBook(store).add(name, "rolled_back", found.to_dict(), who=who, why=why, run_id=experiment.run_id)
    return move


def stop(store: Store, name: str, *, who: str, why: str) -> Assessment:
    """End an experiment; one that is over raises ConflictError."""
    experiment, found = look(store, name)
    if experiment.has_ended:
        raise ConflictError(f"experiment {name!r} is {experiment.phase} already")
    ExperimentBook(store).add(name, "stopped", found.to_dict(), who=who, why=why, run_id=experiment.run_id)
    return found


def record_verdict(store: Store, name: str, *, who: str, why: str) -> Assessment:
    """Write down where an experiment stands, with its evidence; an unknown one raises NotFoundError."""
    experiment, found = look(store, name)
    ExperimentBook(store).add(name, "verdict", found.to_dict(), who=who, why=why, run_id=experiment.run_id)
    return found


def conclude(store: Store, settings: RegistrySettings, name: str, *, who: str, why: str) -> Assessment:
    """Record the verdict of a run that ended, and let the experiment's policy act on it."""
    found = record_verdict(store, name, who=who, why=why)
    apply_policy(store, settings, name)
    return found


def apply_policy(store: Store, settings: RegistrySettings, name: str, *, clock: Clock | None = None) -> Ruling:
    """Do what the policy of an experiment says now, and write it into the book with its evidence.

    What the registry refuses (a SUSPECT report, no champion to go back to) is held, with its reason. A manual policy
    writes nothing. An unknown experiment raises NotFoundError.
    """
    experiment, found = look(store, name)
    registry, now_ns = Registry.of(store, settings), (clock or SystemClock()).now_ns()
    moved_ns = _champion_since(registry, experiment.spec.challenger.partition("@")[0])
    ruling = rule(experiment, found, now_ns=now_ns, moved_ns=moved_ns)
    try:
        if ruling.action == "promote":
            promote(store, settings, name, who="policy", why=ruling.reason)
        elif ruling.action == "roll back":
            rollback(store, settings, name, who="policy", why=ruling.reason)
    except ConflictError as error:
        ruling = Ruling("hold", f"to {ruling.action} was refused: {error}")
    if experiment.spec.policy != "manual" and ruling.action in ("hold", "propose"):
        kind: Happening = "proposed" if ruling.action == "propose" else "held"
        evidence = found.to_dict() | dataclasses.asdict(ruling)
        ExperimentBook(store).add(name, kind, evidence, who="policy", why=ruling.reason, run_id=experiment.run_id)
    return ruling


def _champion_since(registry: Registry, model: str) -> int | None:
    """Return when the champion of a model last changed, None if it has none."""
    try:
        champion = registry.resolve(f"{model}@champion")
    except NotFoundError:
        return None
    given = (each.ts_ns for each in registry.history(champion) if each.what == "alias" and each.after == "champion")
    return max(given, default=None)
