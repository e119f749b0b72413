"""Registered versions as members of a run's ensemble."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from trader.core.errors import ModelError
from trader.core.protocols import Model
from trader.registry import ModelVersion, Registry
from trader.settings import Settings
from trader.storage import Store

__all__ = ["RegisteredMembers", "check_features", "load_member", "registered_members"]


@dataclasses.dataclass(frozen=True, slots=True)
class RegisteredMembers:
    """Versions that the settings name, loaded.

    Parameters
    ----------
    models : mapping of str to Model
        By `name@version`.
    settings : Settings
        As given, with every reference (`transformer@champion`) replaced by the version that it meant.
    """

    models: Mapping[str, Model]
    settings: Settings


def registered_members(
    settings: Settings, store: Store, *, feature_names: tuple[str, ...], start_ns: int
) -> RegisteredMembers:
    """Load the members that are named with a version or an alias.

    Parameters
    ----------
    settings : Settings
    store : Store
        Holds the registry.
    feature_names : tuple of str
        The schema of the run.
    start_ns : int
        First instant that is traded; a model that has seen labels of it or later is refused.

    Raises
    ------
    NotFoundError
        If there is no such version.
    ModelError
        If its files were changed, it was fitted on other features, or on data that the run trades.
    """
    models: dict[str, Model] = {}
    names = []
    registry = Registry.of(store, settings.registry)
    for name in settings.models.members:
        if "@" not in name:
            names.append(name)
            continue
        ref, model = load_member(registry, name, feature_names=feature_names, start_ns=start_ns)
        models[ref] = model
        names.append(ref)
    changed = settings.models.model_copy(update={"members": tuple(names)})
    return RegisteredMembers(models, settings.model_copy(update={"models": changed}))


def load_member(registry: Registry, name: str, *, feature_names: tuple[str, ...], start_ns: int) -> tuple[str, Model]:
    """Return the exact reference that a name means, and the model; errors are those of `registered_members`."""
    version = registry.resolve(name)
    model = registry.load(version)
    _check_span(registry, version, start_ns)
    check_features(version.ref, model.feature_names, feature_names)
    return version.ref, model


def check_features(name: str, own: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """Raise ModelError if what was fitted on the features `own` is to predict from those `wanted`."""
    if own != wanted:
        raise ModelError(
            f"{name} was fitted on {len(own)} features that are not the {len(wanted)} of this run: "
            f"{_difference(own, wanted)}"
        )


def _check_span(registry: Registry, version: ModelVersion, start_ns: int) -> None:
    span = registry.lineage(version).span_ns
    if span is None:
        raise ModelError(f"{version.ref} does not say which data it has seen; it cannot be traded on a replay")
    if span[1] >= start_ns:
        seen, start = (np.datetime64(ns, "ns").astype("datetime64[s]") for ns in (span[1], start_ns))
        raise ModelError(
            f"{version.ref} has seen data up to {seen}, and the run trades from {start}; "
            "models may not be traded on data they were trained on"
        )


def _difference(own: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    missing = [name for name in wanted if name not in own][:3]
    unknown = [name for name in own if name not in wanted][:3]
    if not missing and not unknown:
        return "the same names in another order"
    return f"it does not know {missing}, and knows {unknown}"
