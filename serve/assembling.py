"""An ensemble folder from registered versions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trader.core.errors import ModelError, UserError
from trader.core.protocols import Model
from trader.models.artifacts import is_ensemble, load_ensemble, save_ensemble
from trader.models.background import BACKGROUND_FILE, Background
from trader.models.ensemble import Ensemble
from trader.registry import ModelVersion, Registry

__all__ = ["Assembled", "assemble"]

_UNIT = "1: of at least one member neither its report nor a sample of its training rows gives one"


@dataclasses.dataclass(frozen=True, slots=True)
class Assembled:
    """A saved ensemble.

    Parameters
    ----------
    folder : Path
    members : tuple of str
        `name@version`, as the references meant when it was made.
    scales : mapping of str to float
        What each member's scores are divided by.
    scales_from : str
        Where the scales come from, for people.
    """

    folder: Path
    members: tuple[str, ...]
    scales: Mapping[str, float]
    scales_from: str


def assemble(registry: Registry, refs: Sequence[str], parent: Path) -> Assembled:
    """Save registered versions as an ensemble of equal weights, in a folder below `parent` named by its content.

    The scale of a member is the number `scale` of its report; failing that, the standard deviation of its scores on
    the background saved with it, where a score looks at one instant. Unless every member has a scale all are 1: the
    score is then the mean of the members' scores as they are. Explanations are relative to the first background.

    Parameters
    ----------
    registry : Registry
    refs : sequence of str
        `linear@1.2.0`, `momentum@champion` or `boosting`.
    parent : Path
        The same members give the same folder, which is then used as it is.

    Raises
    ------
    NotFoundError
        If there is no such version.
    UserError
        If two references mean the same version.
    ModelError
        If files were changed, or the members were fitted on different features.
    """
    versions: dict[str, ModelVersion] = {}
    for name in refs:
        version = registry.resolve(name)
        if version.ref in versions:
            raise UserError(f"--members {','.join(refs)} names {version.ref} twice; each member is needed once")
        versions[version.ref] = version
    models = {ref: registry.load(version) for ref, version in versions.items()}
    schemas = {ref: model.feature_names for ref, model in models.items()}
    first, *others = schemas
    for ref in others:
        if schemas[ref] != schemas[first]:
            raise ModelError(f"--members: {ref} was fitted on other features than {first}; one schema is needed")
    backgrounds = {ref: _background(registry, version) for ref, version in versions.items()}
    scales, scales_from = _scales(registry, versions, models, backgrounds)
    content = json.dumps([(ref, version.content_hash, scales[ref]) for ref, version in versions.items()])
    folder = parent / hashlib.sha256(content.encode()).hexdigest()[:16]
    if is_ensemble(folder):
        load_ensemble(folder)
    else:
        background = next((found for found in backgrounds.values() if found is not None), None)
        ensemble = Ensemble(models, scales=scales, background=background)
        save_ensemble(ensemble, folder, {"assembled": {"members": list(versions), "scales": scales_from}})
    return Assembled(folder, tuple(versions), scales, scales_from)


def _background(registry: Registry, version: ModelVersion) -> Background | None:
    file = registry.fetch(version) / BACKGROUND_FILE
    return Background.load(file) if file.is_file() else None


def _scales(
    registry: Registry,
    versions: Mapping[str, ModelVersion],
    models: Mapping[str, Model],
    backgrounds: Mapping[str, Background | None],
) -> tuple[dict[str, float], str]:
    scales: dict[str, float] = {}
    sources = set()
    for ref, version in versions.items():
        reported = registry.report(version).get("scale")
        if isinstance(reported, int | float) and math.isfinite(reported) and reported > 0:
            scales[ref] = float(reported)
            sources.add("from the members' reports")
        elif (measured := _measured(models[ref], backgrounds[ref])) is not None:
            scales[ref] = measured
            sources.add("measured on the samples of training rows saved with the members")
        else:
            return dict.fromkeys(versions, 1.0), _UNIT
    return scales, " and ".join(sorted(sources))


def _measured(model: Model, background: Background | None) -> float | None:
    """Return the standard deviation of a model's scores on its background; None where there is no such number."""
    if background is None or model.context > 1:
        return None
    scores = model.predict_panel(background.rows[np.newaxis], 0)
    finite = scores[np.isfinite(scores)]
    scale = float(finite.std()) if finite.size > 1 else 0.0
    return scale if scale > 0 else None
