"""Which features matter over many rows: to the scores, and to how well they order returns."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.explain.explainer import Explainer
from trader.explain.instant import Instant
from trader.explain.results import Attribution
from trader.explain.subject import Subject
from trader.validation.ic import ic_summary, information_coefficient

__all__ = ["Importance", "explain_sample", "mean_attribution", "permutation_importance"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Importance:
    """One number a feature, with its standard error.

    Parameters
    ----------
    measure : str
        What the numbers are, in words.
    subject : str
    feature_names : tuple of str
    values, standard_error : ndarray of shape (n_features,)
    n : int
        Rows or instants that they are a mean over.
    seconds : float
    warnings : tuple of str
    """

    measure: str
    subject: str
    feature_names: tuple[str, ...]
    values: FloatArray
    standard_error: FloatArray
    n: int
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; a number that is undefined is NaN."""
        plain = dataclasses.asdict(self)
        return plain | {key: plain[key].tolist() for key in ("values", "standard_error")}


def explain_sample(
    explainer: Explainer,
    features: FloatArray,
    *,
    method: str = "shap",
    member: str | None = None,
    n_rows: int = 200,
    seed: int = 0,
) -> Attribution:
    """Explain rows drawn from a panel, without replacement, among those that the subject scores.

    Parameters
    ----------
    explainer : Explainer
    features : ndarray of shape (n_slices, n_symbols, n_features)
    method, member
        As for `Explainer.explain`.
    n_rows : int, default=200
    seed : int

    Raises
    ------
    DataError
        If nothing in the panel is scored.
    """
    subject = explainer.subject(member)
    scored = np.argwhere(np.isfinite(subject.scores(features)))
    if not scored.size:
        raise DataError(f"{subject.name} scores none of the {features.shape[0]} instants given")
    drawn = scored[np.sort(np.random.default_rng(seed).choice(len(scored), min(n_rows, len(scored)), replace=False))]
    if subject.context == 1:
        return explainer.explain(Instant.of(features[drawn[:, 0], drawn[:, 1]]), method, member)
    past = subject.context - 1
    parts = []
    for at in np.unique(drawn[:, 0]):
        instant = Instant.of(
            features[at], past=features[max(0, at - past) : at], chosen=drawn[drawn[:, 0] == at, 1].astype(np.int64)
        )
        parts.append(explainer.explain(instant, method, member))
    return Attribution.concat(parts)


def mean_attribution(attribution: Attribution) -> Importance:
    """Return the mean absolute attribution of each feature, the error being that of the draw of rows."""
    sizes = np.abs(attribution.values[np.isfinite(attribution.score)])
    n = sizes.shape[0]
    error = sizes.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(sizes.shape[1], np.nan)
    return Importance(
        measure=f"mean absolute {attribution.method} value",
        subject=attribution.subject,
        feature_names=attribution.feature_names,
        values=attribution.mean_absolute,
        standard_error=error,
        n=n,
        seconds=attribution.seconds,
        warnings=attribution.warnings,
    )


def permutation_importance(
    subject: Subject,
    features: FloatArray,
    target: FloatArray,
    *,
    horizon: int,
    repeats: int = 3,
    seed: int = 0,
) -> Importance:
    """Return by how much the mean rank IC falls when the symbols swap a feature among themselves [1]_.

    Symbols are permuted at each instant; for a sequence model once for all instants, so that each keeps a history
    that is some symbol's. A feature that all symbols share stays what it was, as an IC over symbols asks for. The
    numbers are only as good as the data they are measured on: in sample they show what was learnt, out of sample
    what helps.

    Parameters
    ----------
    subject : Subject
    features : ndarray of shape (n_slices, n_symbols, n_features)
    target : ndarray of shape (n_slices, n_symbols)
        NaN is unknown.
    horizon : int
        Bars a label looks ahead; labels overlap that long, and the standard error (Newey-West) allows for it.
    repeats : int, default=3
        Permutations a feature; their mean is taken at each instant.
    seed : int

    References
    ----------
    .. [1] Breiman (2001), "Random forests"; Fisher, Rudin and Dominici (2019), "All models are wrong, but many
       are useful".
    """
    started = time.perf_counter()
    if repeats < 1:
        raise DataError(f"repeats={repeats} is not allowed; at least 1 is")
    n_slices, n_symbols, n_features = features.shape
    whole = information_coefficient(subject.scores(features), target)
    rng = np.random.default_rng(seed)
    falls, errors = np.empty(n_features), np.empty(n_features)
    for column in range(n_features):
        swapped = features.copy()
        ic = np.zeros(n_slices)
        for _ in range(repeats):
            draws = 1 if subject.context > 1 else n_slices
            order = np.broadcast_to(rng.random((draws, n_symbols)).argsort(axis=1), (n_slices, n_symbols))
            swapped[..., column] = np.take_along_axis(features[..., column], order, axis=1)
            ic += information_coefficient(subject.scores(swapped), target) / repeats
        summary = ic_summary(whole - ic, lags=horizon)
        falls[column], errors[column] = summary.mean, summary.error
    return Importance(
        measure="fall of the mean rank IC when the feature is permuted among symbols",
        subject=subject.name,
        feature_names=subject.feature_names,
        values=falls,
        standard_error=errors,
        n=int(np.isfinite(whole).sum()),
        seconds=time.perf_counter() - started,
    )
