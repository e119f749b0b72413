"""Ridge regression on clipped z-scores."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.models.base import ArrayModel, min_known
from trader.models.ridge import Ridge, fit_ridge
from trader.models.rows import Rows, Watch

__all__ = ["Linear"]

FloatArray = NDArray[np.float64]


class Linear(ArrayModel):
    """Ridge regression in closed form [1]_.

    Features are centred and scaled by their training moments, clipped at `clip` standard deviations, and a
    missing one counts as its mean. With Z the z-scores of n rows, the coefficients solve
    ``(Z'Z / n + alpha I) b = Z'(y - mean(y)) / n``.

    Parameters
    ----------
    alpha : float, default=1.0
        Penalty relative to the unit variance of a z-score, so that it does not depend on the number of rows;
        1 halves the coefficient of a feature uncorrelated with the others. Positive.
    clip : float, default=5.0
        Standard deviations; positive.

    References
    ----------
    .. [1] Hoerl and Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems".

    Examples
    --------
    >>> x = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> model = Linear(alpha=1e-9).fit(x, 3.0 * x[:, 0] + 1.0, feature_names=("x",))
    >>> model.predict(np.array([[0.5]])).round(6).tolist()
    [2.5]
    """

    name: ClassVar[str] = "linear"
    PARAMS: ClassVar[tuple[str, ...]] = ("alpha", "clip")
    ARRAYS: ClassVar[tuple[str, ...]] = ("center", "inverse_scale", "coefficients", "intercept")

    center: FloatArray
    inverse_scale: FloatArray
    coefficients: FloatArray
    intercept: FloatArray

    def __init__(self, *, alpha: float = 1.0, clip: float = 5.0) -> None:
        for key, value in (("alpha", alpha), ("clip", clip)):
            if not value > 0:
                raise DataError(f"{key}={value} is not allowed; it must be positive")
        self.alpha = alpha
        self.clip = clip

    def _fit(self, rows: Rows, names: tuple[str, ...], seed: int, watch: Watch | None) -> None:  # noqa: ARG002
        fitted = fit_ridge(rows.features, rows.target, rows.weight, self.alpha, self.clip)
        self.center, self.inverse_scale = fitted.center, fitted.inverse_scale
        self.coefficients, self.intercept = fitted.coefficients, fitted.intercept
        if watch is not None:
            watch.step(1, 1, self._scores)

    def _scores(self, features: FloatArray) -> FloatArray:
        ridge = Ridge(self.center, self.inverse_scale, self.coefficients, self.intercept)
        return ridge(features, self.clip, min_known(features.shape[1]))
