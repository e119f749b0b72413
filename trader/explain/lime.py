"""LIME: a weighted linear model of the scores around one row."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.explain.instant import Instant, LocalScore
from trader.explain.results import Attribution
from trader.explain.subject import Subject
from trader.models.background import Background

__all__ = ["Bins", "LimeSettings", "LocalFit", "fit_local", "lime_values"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class LimeSettings:
    """How the neighbourhood of a row is drawn and fitted.

    Parameters
    ----------
    n_samples : int
        Scores around each row, at least 2.
    kernel_width : float, optional
        In standard deviations; None is ``0.75 √n_features``.
    alpha : float
        Penalty of the ridge regression, not relative to the number of samples.
    discretise : bool
        Explain by whether a feature stays in its quartile, instead of by its slope.
    """

    n_samples: int = 2000
    kernel_width: float | None = None
    alpha: float = 1.0
    discretise: bool = False

    def __post_init__(self) -> None:
        if self.n_samples < 2:
            raise DataError(f"n_samples={self.n_samples} is not allowed; at least 2 are")
        if self.kernel_width is not None and not self.kernel_width > 0:
            raise DataError(f"kernel_width={self.kernel_width} is not allowed; it must be positive")
        if not self.alpha >= 0:
            raise DataError(f"alpha={self.alpha} is not allowed; it must not be negative")


@dataclasses.dataclass(frozen=True, slots=True)
class LocalFit:
    """A linear model `intercept + coefficients · z` and the weighted R² of its fit."""

    coefficients: FloatArray
    intercept: float
    fidelity: float


class Bins:
    """Quartiles of the background; a missing value keeps to itself.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    """

    def __init__(self, rows: FloatArray) -> None:
        self._known = [column[np.isfinite(column)] for column in rows.T]
        self.edges = [
            np.unique(np.quantile(known, (0.25, 0.5, 0.75))) if known.size else known for known in self._known
        ]

    def of(self, rows: FloatArray) -> IntArray:
        """Return the bin of each value, -1 for a missing one; a value on an edge is in the lower bin."""
        found = np.stack([np.searchsorted(edges, column) for edges, column in zip(self.edges, rows.T, strict=True)], 1)
        return np.where(np.isfinite(rows), found, -1)

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Return rows whose features are drawn from the background one by one; NaN for one that is never known."""
        columns = [rng.choice(known, n) if known.size else np.full(n, np.nan) for known in self._known]
        return np.stack(columns, axis=1)


def lime_values(
    subject: Subject,
    instant: Instant,
    background: Background,
    settings: LimeSettings | None = None,
    *,
    seed: int = 0,
) -> Attribution:
    """Return, for each chosen row, the terms of a linear model fitted to the scores around it.

    Around a row features are drawn from a normal distribution with the background's standard deviations
    (`discretise`: from the background itself, feature by feature). Samples weigh
    ``exp(-distance² / (2 width²))`` [1]_, the distance being Euclidean in standard deviations (`discretise`:
    in features that left their quartile). A term is a coefficient times the distance of the feature from its mean
    in the background (`discretise`: the coefficient of having stayed). A feature that is missing stays missing, and
    its term is 0.

    No additivity is promised: base and values are the linear model's own score. `fidelity` says how well it fits.

    Parameters
    ----------
    subject : Subject
    instant : Instant
    background : Background
    settings : LimeSettings, optional
    seed : int

    References
    ----------
    .. [1] Ribeiro, Singh and Guestrin (2016), "Why should I trust you? Explaining the predictions of any
       classifier"; widths and penalty as in their package `lime`.
    """
    started = time.perf_counter()
    how = settings or LimeSettings()
    panel, n_past = instant.panel(subject.context)
    score = subject.scores(panel, n_past)[0, instant.chosen]
    n_rows, d = instant.rows.shape
    values, base, fidelity = np.full((n_rows, d), np.nan), np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    for at, position in enumerate(instant.chosen):
        if np.isfinite(score[at]):
            local = LocalScore(subject, instant, int(position))
            rng = np.random.default_rng([seed, at])
            neighbours = _in_bins if how.discretise else _around
            values[at], base[at], fidelity[at] = neighbours(local, float(score[at]), background.rows, how, rng)
    kind = "quartiles" if how.discretise else "slopes"
    poor = int((fidelity < 0.5).sum())
    return Attribution(
        method="lime",
        algorithm=f"LIME, {kind}, {how.n_samples} samples a row",
        subject=subject.name,
        feature_names=subject.feature_names,
        score=score,
        base=base,
        values=values,
        background=background.statement,
        background_sha256=background.sha256,
        fidelity=fidelity,
        seconds=time.perf_counter() - started,
        warnings=(f"the linear model explains less than half of the variance around {poor} rows",) if poor else (),
    ).checked()


def fit_local(z: FloatArray, scores: FloatArray, distance: FloatArray, settings: LimeSettings) -> LocalFit:
    """Fit a weighted ridge regression with a free intercept.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_features)
        Finite.
    scores : ndarray of shape (n_samples,)
        NaN is left out.
    distance : ndarray of shape (n_samples,)
        From the row that is explained.
    settings : LimeSettings
    """
    known = np.isfinite(scores)
    z, scores, distance = z[known], scores[known], distance[known]
    width = settings.kernel_width or 0.75 * np.sqrt(z.shape[1])
    weight = np.exp(-0.5 * (distance / width) ** 2)
    total = weight.sum()
    if not total > 0:
        return LocalFit(np.full(z.shape[1], np.nan), float("nan"), float("nan"))
    center, mean = weight @ z / total, weight @ scores / total
    zc, yc = z - center, scores - mean
    gram = (zc * weight[:, None]).T @ zc + settings.alpha * np.eye(z.shape[1])
    coefficients = np.linalg.lstsq(gram, (zc * weight[:, None]).T @ yc, rcond=None)[0]
    spread = weight @ yc**2
    left = weight @ (yc - zc @ coefficients) ** 2
    fidelity = 1.0 - left / spread if spread > 0 else 1.0
    return LocalFit(coefficients, float(mean - center @ coefficients), float(fidelity))


def _around(
    local: LocalScore, score: float, background: FloatArray, how: LimeSettings, rng: np.random.Generator
) -> tuple[FloatArray, float, float]:
    center, scale = _moments(background)
    steps = rng.standard_normal((how.n_samples, local.row.size))
    steps[:, (scale == 0) | ~np.isfinite(local.row)] = 0.0
    steps[0] = 0.0  # the row itself
    scores = local.shifted(steps * scale)
    start = np.divide(local.row - center, scale, out=np.zeros_like(scale), where=scale > 0)
    start = np.where(np.isfinite(start), start, 0.0)
    scores[0] = score
    fit = fit_local(start + steps, scores, np.sqrt((steps**2).sum(axis=1)), how)
    return fit.coefficients * start, fit.intercept, fit.fidelity


def _in_bins(
    local: LocalScore, score: float, background: FloatArray, how: LimeSettings, rng: np.random.Generator
) -> tuple[FloatArray, float, float]:
    bins = Bins(background)
    drawn = bins.draw(how.n_samples, rng)
    drawn[:, ~np.isfinite(local.row)] = np.nan
    drawn[0] = local.row
    stayed = bins.of(drawn) == bins.of(local.row[None])
    scores = local.replaced(np.zeros(drawn.shape, bool), drawn)
    scores[0] = score
    missing = ~np.isfinite(local.row)
    fit = fit_local(np.where(missing, 0.0, stayed), scores, np.sqrt((~stayed).sum(axis=1)), how)
    return np.where(missing, 0.0, fit.coefficients), fit.intercept, fit.fidelity


def _moments(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    from trader.models.standard import column_moments

    center, inverse = column_moments(rows)
    return center, np.divide(1.0, inverse, out=np.zeros_like(inverse), where=inverse > 0)
