"""What a value at risk and an expected shortfall are reported as, whatever method made them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["SCALINGS", "RiskEstimate", "check_horizon", "check_level", "check_sample"]

FloatArray = NDArray[np.float64]

SCALINGS = ("sqrt", "overlapping", "simulated")
"""How a figure reaches a horizon beyond one period; ``none`` where the horizon is one."""


@dataclasses.dataclass(frozen=True, slots=True)
class RiskEstimate:
    """Value at risk and expected shortfall of one portfolio.

    Parameters
    ----------
    method : str
        Its name among `risk.var.methods.METHODS`.
    level : float
        Confidence, e.g. .99.
    horizon : int
        Periods ahead.
    scaling : str
        ``none`` for one period, else how the horizon was reached, of `SCALINGS`.
    n_observations : int
        Periods the figures are estimated from.
    var, es : float
        Losses as fractions of the portfolio's value; positive is lost, `es` is never below `var`.
    warnings : tuple of str
        Why the figures may not be believed; empty if nothing speaks against them.

    Examples
    --------
    >>> RiskEstimate("normal", 0.99, 1, "none", 1000, 0.023, 0.027).to_dict()["var"]
    0.023
    """

    method: str
    level: float
    horizon: int
    scaling: str
    n_observations: int
    var: float
    es: float
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return dataclasses.asdict(self) | {"warnings": list(self.warnings)}


def check_level(level: float) -> float:
    """Return the confidence level as float.

    Raises
    ------
    DataError
        If it is not between .5 and 1, both excluded.
    """
    if not 0.5 < level < 1.0:
        raise DataError(f"level={level} is not allowed; a confidence above .5 and below 1 is, e.g. .99")
    return float(level)


def check_horizon(horizon: int, scaling: str) -> str:
    """Return the scaling that applies: ``none`` for a horizon of one period.

    Raises
    ------
    DataError
        If the horizon is below one period or the scaling is none of `SCALINGS`.
    """
    if horizon < 1 or horizon != int(horizon):
        raise DataError(f"horizon={horizon} is not allowed; whole periods, 1 or more, are")
    if scaling not in SCALINGS:
        raise DataError(f"scaling={scaling!r} is not allowed; {', '.join(SCALINGS)} are")
    return "none" if horizon == 1 else scaling


def check_sample(returns: FloatArray, at_least: int, name: str = "returns") -> FloatArray:
    """Return one series as contiguous float64.

    Raises
    ------
    DataError
        If it is no vector, has fewer than `at_least` periods or holds NaN or infinities.
    """
    values = np.ascontiguousarray(returns, np.float64)
    if values.ndim != 1:
        raise DataError(f"{name} has shape {values.shape}; (n_periods,) is needed")
    if values.size < at_least:
        raise DataError(f"{name} has {values.size} periods; at least {at_least} are needed")
    # A sum is finite exactly if all are, and costs a tenth of looking at each; only an overflow needs the second look.
    if not math.isfinite(values.sum()) and not np.isfinite(values).all():
        raise DataError(f"{name} holds NaN or infinities; leave those periods out")
    return values
