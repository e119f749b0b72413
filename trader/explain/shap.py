"""SHAP values: exact where the model's form allows, by sampling where not, added up over the parts of an ensemble."""

from __future__ import annotations

import time
import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trader.explain.additive import additive_shap, clipped_sum
from trader.explain.instant import Instant, LocalScore
from trader.explain.permutation import permutation_shap
from trader.explain.results import Attribution
from trader.explain.subject import Part, Subject
from trader.explain.trees import LeafBoxes, boxes_of_trees, tree_shap
from trader.models.background import Background
from trader.models.linear import Linear
from trader.models.momentum import Momentum
from trader.models.tree_model import TreeModel

__all__ = ["EXACT_TOLERANCE", "prepare", "shap_values"]

FloatArray = NDArray[np.float64]

EXACT_TOLERANCE = 1e-9
"""Rounding of sums over a background; relative to the largest number involved."""

_SEQUENCE_BACKGROUND = (
    8  # rows of the background that a sequence model is compared with: each costs hundreds of windows
)


class _Values(NamedTuple):
    """SHAP values of one model: values and standard error (n_rows, n_features), base (n_rows,)."""

    values: FloatArray
    base: FloatArray
    error: FloatArray | None
    algorithm: str
    warnings: tuple[str, ...] = ()


def shap_values(
    subject: Subject, instant: Instant, background: Background, *, rounds: int = 2, seed: int = 0
) -> Attribution:
    """Return SHAP values of the chosen rows.

    A feature that is absent takes its values from the background, one row of it at a time (the interventional
    game). Shapley values are linear in the score, so those of an ensemble are the weighted sum of its members': each
    counts by the share it has at the explained row, and trees and linear models by the function they compute, also
    on hybrids that know too few features to be scored.

    Parameters
    ----------
    subject : Subject
    instant : Instant
    background : Background
    rounds : int, default=2
        Turns of each background row where values are sampled; see `permutation_shap`.
    seed : int

    Raises
    ------
    ModelError
        If the values do not add up to the score.
    """
    started = time.perf_counter()
    panel, n_past = instant.panel(subject.context)
    score = subject.scores(panel, n_past)[0, instant.chosen]
    shares = subject.shares(panel, n_past)[:, 0, instant.chosen]
    shape = instant.rows.shape
    values, base, variance = np.zeros(shape), np.zeros(shape[0]), np.zeros(shape)
    algorithms: list[str] = []
    warnings: list[str] = []
    for part, share in zip(subject.parts, shares, strict=True):
        active = share != 0.0
        if not active.any():
            continue
        own = _of_part(part, instant, background, active, rounds, seed)
        values[active] += share[active, None] * own.values
        base[active] += share[active] * own.base
        if own.error is not None:
            variance[active] += (share[active, None] * own.error) ** 2
        algorithms.append(own.algorithm)
        warnings += own.warnings
    abstained = ~np.isfinite(score)
    values[abstained], base[abstained], variance[abstained] = np.nan, np.nan, np.nan
    if abstained.any():
        warnings.append(f"{subject.name} abstains on {int(abstained.sum())} of {score.size} rows")
    return Attribution(
        method="shap",
        algorithm="; ".join(dict.fromkeys(algorithms)),
        subject=subject.name,
        feature_names=subject.feature_names,
        score=score,
        base=base,
        values=values,
        background=_statement(subject, background),
        background_sha256=background.sha256,
        standard_error=np.sqrt(variance) if any(name.startswith("permutation") for name in algorithms) else None,
        tolerance=EXACT_TOLERANCE,
        seconds=time.perf_counter() - started,
        warnings=tuple(dict.fromkeys(warnings)),
    ).checked()


def prepare(subject: Subject, background: Background) -> None:
    """Compile and make what `shap_values` needs of a subject before the first call."""
    for part in subject.parts:
        if isinstance(part.model, TreeModel):
            tree_shap(_boxes(part.model), background.rows[:1], background.rows[:1])


def _of_part(
    part: Part, instant: Instant, background: Background, active: NDArray[np.bool_], rounds: int, seed: int
) -> _Values:
    model = part.model
    rows = instant.rows[active]
    if isinstance(model, TreeModel):
        values, base = tree_shap(_boxes(model), rows, background.rows)
        return _Values(values, np.full(rows.shape[0], base), None, "interventional TreeSHAP, exact")
    if isinstance(model, Linear | Momentum):
        values, base = additive_shap(clipped_sum(model), rows, background.rows)
        return _Values(values, np.full(rows.shape[0], base), None, "closed form, exact")
    return _sampled(part, instant, background, active, rounds, seed)


def _sampled(
    part: Part, instant: Instant, background: Background, active: NDArray[np.bool_], rounds: int, seed: int
) -> _Values:
    alone = Subject(part.key, (part._replace(weight=1.0, factor=1.0),), "")
    rows = background.rows if part.model.context == 1 else background.rows[:_SEQUENCE_BACKGROUND]
    found = [
        permutation_shap(
            LocalScore(alone, instant, int(position)), rows, np.random.default_rng([seed, at]), rounds=rounds
        )
        for at, position in enumerate(instant.chosen[active])
    ]
    dropped = max((estimate.dropped for estimate in found), default=0.0)
    warnings = (f"{part.key} abstained on up to {dropped:.0%} of the sampled hybrids, which are left out",)
    return _Values(
        np.array([estimate.values for estimate in found]),
        np.array([estimate.base for estimate in found]),
        np.array([estimate.standard_error for estimate in found]),
        f"permutation SHAP, antithetic, {rounds} rounds of {rows.shape[0]} background rows",
        warnings if dropped else (),
    )


def _statement(subject: Subject, background: Background) -> str:
    if subject.context == 1:
        return background.statement
    return (
        f"{background.statement}; for sequence models its first {min(_SEQUENCE_BACKGROUND, background.rows.shape[0])}, "
        "each held constant over the symbol's own window"
    )


_known_boxes: weakref.WeakKeyDictionary[TreeModel, LeafBoxes] = weakref.WeakKeyDictionary()


def _boxes(model: TreeModel) -> LeafBoxes:
    """Return the boxes of a model, made once."""
    found = _known_boxes.get(model)
    if found is None:
        found = _known_boxes[model] = boxes_of_trees(model)
    return found
