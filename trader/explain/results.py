"""What an explanation is: numbers per feature, what they are relative to, and how far they can be trusted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import ModelError

__all__ = ["Attribution"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Attribution:
    """How much each feature adds to each score: `base + values.sum(axis=1)` is the score.

    Parameters
    ----------
    method : str
        As it was asked for: `shap`, `lime` or `ig`.
    algorithm : str
        How the numbers were computed.
    subject : str
        What was explained: a model, a member or `ensemble`.
    feature_names : tuple of str
    score : ndarray of shape (n_rows,)
        NaN where the subject abstains; base and values are NaN there too.
    base : ndarray of shape (n_rows,)
        What is left when nothing is attributed, as `background` defines it.
    values : ndarray of shape (n_rows, n_features)
        In units of the score.
    background : str
        What the values are relative to, in words.
    background_sha256 : str
        Content of the background sample.
    standard_error : ndarray of shape (n_rows, n_features), optional
        Of `values`, where they are estimated by sampling; None where they are exact.
    tolerance : float, optional
        Largest additivity error, relative to the largest number involved; None where the method promises no
        additivity, as LIME does not.
    fidelity : ndarray of shape (n_rows,), optional
        Weighted R² of a local approximation to the scores it was fitted to.
    seconds : float
        What computing it took.
    warnings : tuple of str
    """

    method: str
    algorithm: str
    subject: str
    feature_names: tuple[str, ...]
    score: FloatArray
    base: FloatArray
    values: FloatArray
    background: str
    background_sha256: str
    standard_error: FloatArray | None = None
    tolerance: float | None = None
    fidelity: FloatArray | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def additivity_error(self) -> FloatArray:
        """How far base and values are from the score, shape (n_rows,); NaN where the subject abstains."""
        gap: FloatArray = np.abs(self.base + self.values.sum(axis=1) - self.score)
        return gap

    @property
    def mean_absolute(self) -> FloatArray:
        """Mean absolute attribution of each feature over the rows that have one, shape (n_features,)."""
        known = np.isfinite(self.score)
        if not known.any():
            return np.full(len(self.feature_names), np.nan)
        mean: FloatArray = np.abs(self.values[known]).mean(axis=0)
        return mean

    @classmethod
    def concat(cls, parts: Sequence[Attribution]) -> Attribution:
        """Join the rows of explanations of one subject by one method; at least one."""
        first = parts[0]
        joined: dict[str, Any] = {}
        for name in ("score", "base", "values", "standard_error", "fidelity"):
            arrays = [getattr(part, name) for part in parts]
            joined[name] = None if arrays[0] is None else np.concatenate(arrays)
        return dataclasses.replace(
            first,
            **joined,
            seconds=sum(part.seconds for part in parts),
            warnings=tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
        )

    def checked(self) -> Attribution:
        """Return itself when it is additive within its tolerance.

        Raises
        ------
        ModelError
            If base and values miss the score of a row by more, or are not finite where the score is.
        """
        known = np.isfinite(self.score)
        finite = np.isfinite(self.base) & np.isfinite(self.values).all(axis=1)
        if np.any(known & ~finite):
            row = int(np.argmax(known & ~finite))
            raise ModelError(
                f"{self.method} of {self.subject} gave row {row} no finite attribution though it is scored"
            )
        if self.tolerance is None or not known.any():
            return self
        largest = np.maximum(np.abs(self.score), np.abs(self.base)) + np.abs(self.values).sum(axis=1)
        excess = np.where(known, self.additivity_error - self.tolerance * largest, -np.inf)
        row = int(np.argmax(excess))
        if excess[row] > 0.0:
            raise ModelError(
                f"{self.method} of {self.subject} is not additive: base and values of row {row} miss its score "
                f"{self.score[row]:g} by {self.additivity_error[row]:g}; {self.tolerance * largest[row]:g} is allowed"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; a number that is undefined is NaN."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain["additivity_error"] = self.additivity_error
        return {
            key: value.tolist() if isinstance(value, np.ndarray) else list(value) if isinstance(value, tuple) else value
            for key, value in plain.items()
        }
