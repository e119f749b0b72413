"""The baseline: momentum and short-term reversal, signs fixed by the literature."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError
from trader.models.base import ArrayModel
from trader.models.kernels import linear_scores
from trader.models.rows import Rows, Watch
from trader.models.standard import column_moments

__all__ = ["Momentum"]

FloatArray = NDArray[np.float64]


class Momentum(ArrayModel):
    """Past winners over months go on winning [1]_, those of the last days give back [2]_.

    Nothing is learnt but the scale of the columns: the score is Grinold's rule [3]_, an assumed information
    coefficient times a z-score times the volatility of the target. The z-score is the mean of the clipped
    z-scores of the momentum columns (counted positive) and of the reversal columns (counted negative), each
    group weighing half. A missing column counts as average; the model abstains where all are missing.

    Parameters
    ----------
    momentum, reversal : tuple of str, optional
        Regular expressions in order of preference: the first whose matches (of the whole name) include columns
        that vary in training decides the group. Ranks among symbols come first, because they leave out what all
        symbols share; a single symbol has none that vary.
    information_coefficient : float, default=0.02
        Assumed correlation of the z-score with the target; positive.
    clip : float, default=3.0
        Standard deviations; positive.

    References
    ----------
    .. [1] Jegadeesh and Titman (1993), "Returns to buying winners and selling losers".
    .. [2] Jegadeesh (1990), "Evidence of predictable behavior of security returns"; Lehmann (1990), "Fads,
       martingales, and market efficiency".
    .. [3] Grinold (1994), "Alpha is volatility times IC times score".
    """

    name: ClassVar[str] = "momentum"
    PARAMS: ClassVar[tuple[str, ...]] = ("momentum", "reversal", "information_coefficient", "clip")
    ARRAYS: ClassVar[tuple[str, ...]] = ("columns", "center", "inverse_scale", "coefficients")

    columns: NDArray[np.int32]
    center: FloatArray
    inverse_scale: FloatArray
    coefficients: FloatArray

    def __init__(
        self,
        *,
        momentum: tuple[str, ...] = (r"rank_momentum_\d+_\d+", r"momentum_\d+_\d+"),
        reversal: tuple[str, ...] = (r"rank_return_(5|21)d", r"return_(5|21)d"),
        information_coefficient: float = 0.02,
        clip: float = 3.0,
    ) -> None:
        for key, value in (("information_coefficient", information_coefficient), ("clip", clip)):
            if not value > 0:
                raise DataError(f"{key}={value} is not allowed; it must be positive")
        self.momentum = tuple(momentum)
        self.reversal = tuple(reversal)
        self.information_coefficient = information_coefficient
        self.clip = clip

    def _fit(self, rows: Rows, names: tuple[str, ...], seed: int, watch: Watch | None) -> None:  # noqa: ARG002
        center, inverse_scale = column_moments(rows.features)
        varying = {name: column for column, name in enumerate(names) if inverse_scale[column] > 0}
        groups = [(_preferred(varying, self.momentum), 1.0), (_preferred(varying, self.reversal), -1.0)]
        groups = [(group, sign) for group, sign in groups if group]
        if not groups:
            raise ModelError(
                f"no feature that varies matches {self.momentum + self.reversal}; momentum needs at least one, "
                f"the features are {', '.join(names)}"
            )
        mean = np.average(rows.target, weights=rows.weight)
        volatility = math.sqrt(np.average((rows.target - mean) ** 2, weights=rows.weight))
        amplitude = self.information_coefficient * volatility / len(groups)
        self.columns = np.array([column for group, _ in groups for column in group], dtype=np.int32)
        self.center, self.inverse_scale = center[self.columns], inverse_scale[self.columns]
        self.coefficients = np.array([sign * amplitude / len(group) for group, sign in groups for _ in group])
        if watch is not None:
            watch.step(1, 1, self._scores)

    def _scores(self, features: FloatArray) -> FloatArray:
        scores: FloatArray = linear_scores(
            features, self.columns, self.center, self.inverse_scale, self.coefficients, 0.0, self.clip, 1
        )
        return scores


def _preferred(columns: Mapping[str, int], patterns: tuple[str, ...]) -> list[int]:
    """Return the columns that match the first pattern which any does."""
    for pattern in patterns:
        if found := [column for name, column in columns.items() if re.fullmatch(pattern, name)]:
            return found
    return []
