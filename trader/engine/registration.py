"""From a candidate to a registered version, with its report."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trader.core.errors import NotFoundError
from trader.core.protocols import Model
from trader.engine.evaluation import Evaluation, SignalEvaluation
from trader.engine.training_set import Past
from trader.models.background import BACKGROUND_FILE, Background
from trader.models.candidate import Candidate
from trader.models.training import training_background
from trader.registry import Lineage, ModelVersion, Ref, Registry
from trader.reporting.model_page import render_model_page

__all__ = ["REPORT_FILE", "previous_trials", "register_candidate", "register_model"]

REPORT_FILE = "report.html"
"""Beside the model's own files in its artefact."""

_MOST_VERSIONS = 1000


def previous_trials(registry: Registry, name: str, data_fingerprint: str) -> int:
    """Return how many candidates were tried on the same data before, by the lineages of a model's versions.

    A version that came out of a search counts as many trials as the search had.
    """
    try:
        versions = registry.versions(name, limit=_MOST_VERSIONS)
    except NotFoundError:
        return 0
    lineages = (registry.lineage(version) for version in versions)
    return sum(lineage.trials for lineage in lineages if lineage.data_fingerprint == data_fingerprint)


def register_candidate(
    registry: Registry,
    candidate: Candidate,
    evaluation: Evaluation,
    past: Past,
    *,
    who: str,
    why: str,
    name: str | None = None,
    parent: Ref | None = None,
    search: str | None = None,
    trials: int = 1,
    on_bytes: Callable[[int], None] = lambda _n: None,
) -> ModelVersion:
    """Keep a candidate as the next version of its model, in STAGING.

    The artefact holds the model, a background for explanations, and the report as a page.

    Parameters
    ----------
    name : str, optional
        Of the model; its kind by default.
    parent : Ref, optional
        The version that it was trained on from.
    search : str, optional
        The search that found its hyperparameters.
    trials : int, default=1
        Hyperparameters tried before these were kept, these included.
    """
    lineage = Lineage(
        data_fingerprint=past.data.fingerprint,
        settings=past.settings.model_dump(mode="json"),
        seed=past.settings.run.seed,
        span_ns=past.span_ns,
        parent=None if parent is None else registry.resolve(parent).ref,
        search=search,
        trials=trials,
    )
    background = training_background(past.data, past.settings.run.seed)
    return register_model(
        registry,
        candidate.model,
        evaluation,
        lineage,
        background,
        who=who,
        why=why,
        name=name,
        on_bytes=on_bytes,
    )


def register_model(
    registry: Registry,
    model: Model,
    evaluation: SignalEvaluation,
    lineage: Lineage,
    background: Background,
    *,
    who: str,
    why: str,
    name: str | None = None,
    on_bytes: Callable[[int], None] = lambda _n: None,
) -> ModelVersion:
    """Keep a fitted model as the next version of its name, with what it is worth and where it comes from.

    Parameters
    ----------
    background : Background
        Rows of training that explanations are relative to.
    name : str, optional
        The model's kind by default.
    """
    version = registry.begin(name or evaluation.kind, lineage=lineage, who=who, why=why, kind=evaluation.kind)
    report = evaluation.to_dict()
    metrics = {key: value for key, value in evaluation.metrics().items() if np.isfinite(value)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model.save(folder)
        background.save(folder / BACKGROUND_FILE)
        page = render_model_page(version.ref, json.loads(json.dumps(report)), lineage.to_dict())
        (folder / REPORT_FILE).write_text(page, encoding="utf-8")
        try:
            return registry.complete(
                version, folder, report=report, metrics=metrics, who=who, why=why, progress=on_bytes
            )
        except BaseException as error:
            registry.fail(version, why=str(error) or type(error).__name__, who=who)
            raise
