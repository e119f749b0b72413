"""Several models as one predictor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError
from trader.core.protocols import LeftOut, Model, Prediction
from trader.models.background import Background
from trader.models.kernels import combine

__all__ = ["Ensemble"]

FloatArray = NDArray[np.float64]

_FAILED: LeftOut = "failed"


class Ensemble:
    """Weighted mean of the members' standardised scores.

    A member's score is divided by its scale, the standard deviation of its scores on the training set, so that
    a weight says how much it counts and not how large its numbers are. All are then multiplied by one unit, the
    weighted mean of the scales, which keeps the score an expected return in units of the symbol's volatility.
    `Prediction.members` holds the scores in that unit: the ensemble's score is their weighted mean.

    A member that abstains (NaN) is left out of that cell, one that raises out of that call, and the weights of
    the others are renormalised; where none is left the ensemble abstains. The scores of a block of instants are
    bit-identical to those of its instants one by one.

    Parameters
    ----------
    members : mapping of str to Model
        Fitted, by `name@version`, all on the same schema.
    weights : mapping or sequence of float, optional
        One a member, not negative, not all 0; they are normalised to sum 1. None or empty weighs equally.
    scales : mapping of str to float, optional
        Standard deviation of each member's scores on the training set; 1 where not given.
    metadata : mapping, optional
        What the artefact says of itself; see `trader.models.artifacts`.
    background : Background, optional
        Training rows of the schema that explanations are relative to.

    Raises
    ------
    DataError
        If there is no member, the schemas differ, or a weight, scale or background is not allowed.
    """

    def __init__(
        self,
        members: Mapping[str, Model],
        weights: Mapping[str, float] | Sequence[float] | None = None,
        *,
        scales: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
        background: Background | None = None,
    ) -> None:
        if not members:
            raise DataError("members is empty; an ensemble needs at least one")
        self.members: Mapping[str, Model] = MappingProxyType(dict(members))
        self.feature_names = _shared_schema(self.members)
        self.weights: Mapping[str, float] = MappingProxyType(_normalised(tuple(self.members), weights))
        self.scales: Mapping[str, float] = MappingProxyType(_checked_scales(tuple(self.members), scales or {}))
        self.metadata: Mapping[str, Any] = MappingProxyType(dict(metadata or {}))
        if background is not None and background.rows.shape[1] != len(self.feature_names):
            raise DataError(f"background has {background.rows.shape[1]} columns; the schema {len(self.feature_names)}")
        self.background = background
        self._failures = dict.fromkeys(self.members, 0)
        self._last_errors: dict[str, str] = {}
        self._weights = np.array(list(self.weights.values()))
        scale = np.array(list(self.scales.values()))
        self._factors = float(np.sum(self._weights * scale)) / scale

    def reweighted(self, weights: Mapping[str, float]) -> Ensemble:
        """Return the same members weighed otherwise; errors are those of the class."""
        return Ensemble(self.members, weights, scales=self.scales, metadata=self.metadata, background=self.background)

    @property
    def failures(self) -> Mapping[str, int]:
        """Calls in which a member raised, by member."""
        return MappingProxyType(self._failures)

    @property
    def last_errors(self) -> Mapping[str, str]:
        """The last error of each member that ever raised."""
        return MappingProxyType(self._last_errors)

    @property
    def context(self) -> int:
        """Instants that a score looks at: the most that any member needs."""
        return max(member.context for member in self.members.values())

    def __call__(self, features: FloatArray, n_context: int = 0) -> Prediction:
        """Score all but the first `n_context` instants of features (n_context + n_slices, n_symbols, n_features).

        Raises
        ------
        DataError
            If the shape is not that of the schema, or `n_context` not a number of its instants.
        """
        rows = self.checked(features, n_context)
        answers: dict[str, FloatArray] = {}
        for key in self.members:
            try:
                answers[key] = self.ask(key, rows, n_context)
            except Exception as error:  # noqa: BLE001 - what ails one member must not stop the others; it is counted
                self._failures[key] += 1
                self._last_errors[key] = repr(error)
        left_out = {key: _FAILED for key in self.members if key not in answers}
        return self.combined(answers, (rows.shape[0] - n_context, rows.shape[1]), left_out)

    def checked(self, features: FloatArray, n_context: int) -> FloatArray:
        """Return features as the members read them; raise as a call does."""
        rows: FloatArray = np.ascontiguousarray(features, dtype=np.float64)
        if rows.ndim != 3 or rows.shape[2] != len(self.feature_names):
            raise DataError(
                f"features have shape {rows.shape}; (n_slices, n_symbols, {len(self.feature_names)}) is needed"
            )
        if not 0 <= n_context <= rows.shape[0]:
            raise DataError(f"n_context={n_context} is not allowed; features hold {rows.shape[0]} instants")
        return rows

    def ask(self, key: str, rows: FloatArray, n_context: int) -> FloatArray:
        """Return what one member says of checked rows, shape (n_slices * n_symbols,); raise what it raises."""
        member = self.members[key]
        past = min(n_context, member.context - 1)
        answer = member.predict_panel(rows[n_context - past :], past).reshape(-1)
        if answer.size != (rows.shape[0] - n_context) * rows.shape[1]:
            raise ModelError(f"member {key!r} gave {answer.size} scores for {rows.shape[0] - n_context} instants")
        return answer

    def combined(
        self, answers: Mapping[str, FloatArray], shape: tuple[int, int], left_out: Mapping[str, LeftOut]
    ) -> Prediction:
        """Return the prediction of shape (n_slices, n_symbols) that the members' answers make.

        Parameters
        ----------
        answers : mapping of str to ndarray of shape (n_slices * n_symbols,)
            What `ask` returned; the others have no part in it.
        shape : tuple of int
        left_out : mapping of str to str
            Why the others have none.
        """
        scores = np.empty((len(self.members), shape[0] * shape[1]))
        for position, key in enumerate(self.members):
            scores[position] = answers.get(key, np.nan)
        mean, scaled = combine(scores, self._weights, self._factors)
        by_member = {key: scaled[position].reshape(shape) for position, key in enumerate(self.members)}
        return Prediction(mean.reshape(shape), by_member, left_out)


def _shared_schema(members: Mapping[str, Model]) -> tuple[str, ...]:
    first, *others = members
    schema = members[first].feature_names
    if not schema:
        raise DataError(f"member {first!r} is not fitted; only fitted models can be members")
    for key in others:
        if members[key].feature_names != schema:
            raise DataError(
                f"member {key!r} was fitted on {len(members[key].feature_names)} features that are not the "
                f"{len(schema)} of {first!r}; all members need the same names in the same order"
            )
    return schema


def _normalised(keys: tuple[str, ...], weights: Mapping[str, float] | Sequence[float] | None) -> dict[str, float]:
    if weights is None or len(weights) == 0:
        return dict.fromkeys(keys, 1.0 / len(keys))
    if isinstance(weights, Mapping):
        if set(weights) != set(keys):
            raise DataError(f"weights are given for {sorted(weights)}; the members are {sorted(keys)}")
        values = [float(weights[key]) for key in keys]
    else:
        if len(weights) != len(keys):
            raise DataError(f"weights={tuple(weights)} are {len(weights)}; there are {len(keys)} members")
        values = [float(weight) for weight in weights]
    for key, value in zip(keys, values, strict=True):
        if not (math.isfinite(value) and value >= 0):
            raise DataError(f"weights[{key!r}]={value} is not allowed; it must be finite and not negative")
    total = sum(values)
    if not total > 0:
        raise DataError("weights are all 0; at least one must be positive")
    return {key: value / total for key, value in zip(keys, values, strict=True)}


def _checked_scales(keys: tuple[str, ...], scales: Mapping[str, float]) -> dict[str, float]:
    if unknown := sorted(set(scales) - set(keys)):
        raise DataError(f"scales name {unknown[0]!r}; the members are {sorted(keys)}")
    for key, value in scales.items():
        if not (math.isfinite(value) and value > 0):
            raise DataError(f"scales[{key!r}]={value} is not allowed; it must be finite and positive")
    return {key: float(scales.get(key, 1.0)) for key in keys}
