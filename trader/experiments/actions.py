"""What people and policies do with experiments: register, look, promote, roll back, stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trader.core.errors import ConflictError
from trader.experiments.assess import Assessment, assess
from trader.experiments.book import Experiment, ExperimentBook
from trader.experiments.spec import ExperimentSpec
from trader.registry import Registry
from trader.registry.records import AliasMove
from trader.settings import RegistrySettings
from trader.storage import Store
from trader.validation.experiments import Verdict

__all__ = ["look", "promote", "record_verdict", "register", "rollback", "stop"]


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
    spec = ExperimentSpec(name, champion, challenger, **fields)
    ExperimentBook(store).register(spec, who, why)
    return spec


def look(store: Store, name: str) -> tuple[Experiment, Assessment]:
    """Return an experiment and where it stands; an unknown one raises NotFoundError."""
    experiment = ExperimentBook(store).get(name)
    marks = [] if experiment.run_id is None else store.variant_marks(experiment.run_id)
    return experiment, assess(experiment.spec, marks)


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
    if experiment.phase in ("stopped", "promoted", "rolled back"):
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
    if experiment.phase not in ("registered", "running", "judged"):
        raise ConflictError(f"experiment {name!r} is {experiment.phase} already")
    ExperimentBook(store).add(name, "stopped", found.to_dict(), who=who, why=why, run_id=experiment.run_id)
    return found


def record_verdict(store: Store, name: str, *, who: str, why: str) -> Assessment:
    """Write down where an experiment stands, with its evidence; an unknown one raises NotFoundError."""
    experiment, found = look(store, name)
    ExperimentBook(store).add(name, "verdict", found.to_dict(), who=who, why=why, run_id=experiment.run_id)
    return found
