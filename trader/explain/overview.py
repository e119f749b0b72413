"""A model as a whole: what it relies on, what helps it, how its scores move, and a tree that imitates it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.explain.effects import Effect, accumulated_local_effects
from trader.explain.explainer import Explainer
from trader.explain.importance import Importance, explain_sample, mean_attribution, permutation_importance
from trader.explain.results import Attribution
from trader.explain.surrogate import SurrogateTree, fit_surrogate
from trader.models.dataset import TrainingSet

__all__ = ["Overview", "OverviewSize", "explain_globally"]

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class OverviewSize:
    """How much work an overview may be.

    Parameters
    ----------
    n_rows : int
        Rows whose scores are taken apart.
    n_instants : int
        Instants for importances and the tree: evenly spaced ones, for a sequence model the last.
    n_effects : int
        Features whose effect is drawn, those of the largest mean attribution.
    max_depth : int
        Of the tree.
    """

    n_rows: int = 200
    n_instants: int = 500
    n_effects: int = 4
    max_depth: int = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Overview:
    """Explanations of a subject over many rows.

    Parameters
    ----------
    subject : str
    span_ns : tuple of int
        First and last stamp of the data.
    n_instants : int
        Of those that importances and the tree were made from.
    sample : Attribution
        Of the rows drawn.
    attribution, ic : Importance
        By mean absolute attribution, and by the fall of the IC.
    effects : tuple of Effect
        Empty for a sequence model.
    surrogate : SurrogateTree
    """

    subject: str
    span_ns: tuple[int, int]
    n_instants: int
    sample: Attribution
    attribution: Importance
    ic: Importance
    effects: tuple[Effect, ...]
    surrogate: SurrogateTree

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; of the sample all but its rows."""
        sample = {"method": self.sample.method, "algorithm": self.sample.algorithm}
        error = self.sample.additivity_error
        return {
            "subject": self.subject,
            "span_ns": list(self.span_ns),
            "n_instants": self.n_instants,
            "sample": sample
            | {
                "background": self.sample.background,
                "background_sha256": self.sample.background_sha256,
                "n_rows": int(self.sample.score.size),
                "largest_additivity_error": float(error.max()),
                "warnings": list(self.sample.warnings),
            },
            "attribution": self.attribution.to_dict(),
            "ic": self.ic.to_dict(),
            "effects": [effect.to_dict() for effect in self.effects],
            "surrogate": self.surrogate.to_dict(),
        }


def explain_globally(
    explainer: Explainer,
    data: TrainingSet,
    *,
    method: str = "shap",
    member: str | None = None,
    size: OverviewSize | None = None,
    seed: int = 0,
) -> Overview:
    """Explain a model over a set of instants, whose columns are the model's.

    Raises
    ------
    DataError
        If nothing in the data is scored, or the method cannot explain the subject.
    """
    size = size or OverviewSize()
    subject = explainer.subject(member)
    chosen = _thinned(len(data), size.n_instants, subject.context)
    features, target = data.features[chosen], data.target[chosen]
    sample = explain_sample(explainer, features, method=method, member=member, n_rows=size.n_rows, seed=seed)
    attribution = mean_attribution(sample)
    effects: tuple[Effect, ...] = ()
    if subject.context == 1:
        rows = features.reshape(-1, features.shape[2])
        names = [subject.feature_names[at] for at in np.argsort(-attribution.values)[: size.n_effects]]
        effects = tuple(
            accumulated_local_effects(subject, rows, name)
            for name in names
            if np.isfinite(rows[:, subject.feature_names.index(name)]).any()
        )
    return Overview(
        subject=subject.name,
        span_ns=(int(data.ts_ns[0]), int(data.ts_ns[-1])),
        n_instants=chosen.size,
        sample=sample,
        attribution=attribution,
        ic=permutation_importance(subject, features, target, horizon=data.horizon, seed=seed),
        effects=effects,
        surrogate=fit_surrogate(subject, features, max_depth=size.max_depth, seed=seed),
    )


def _thinned(n: int, at_most: int, context: int) -> IntArray:
    if n <= at_most or context > 1:
        return np.arange(max(0, n - at_most), n, dtype=np.int64)
    return np.unique(np.linspace(0, n - 1, at_most).round().astype(np.int64))
