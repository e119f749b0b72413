"""What the validation tail teaches of the transformer's outputs: how much to believe each of them."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trader.models.calibration import LEVELS, conformal_quantiles, platt

__all__ = ["OutputArrays", "TailCalibration"]

FloatArray = NDArray[np.float64]

_SLOPES = (0.1, 1.5)


@dataclasses.dataclass(frozen=True, slots=True)
class OutputArrays:
    """`trader.models.transformer.Outputs` as arrays of shape (…), the quantiles (…, n_levels)."""

    mean: FloatArray
    deviation: FloatArray
    logit: FloatArray
    quantiles: FloatArray


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TailCalibration:
    """Corrections of the outputs, learnt from labels that the weights have not seen.

    The best epoch was chosen by the same labels: one choice of some dozens, which makes the corrections slightly
    too kind.

    Parameters
    ----------
    slope : ndarray of shape (1,)
        Of the label on the mean, without intercept, from 0.1 to 1.5: an overconfident score is shrunk.
    direction : ndarray of shape (2,)
        Intercept and inverse temperature of the log odds; see `trader.models.calibration.platt`.
    offsets : ndarray of shape (n_levels,)
        Added to the quantiles, in deviations: conformal, so that a quantile covers what it says [1]_.
    scale : ndarray of shape (1,)
        Of the deviation.

    References
    ----------
    .. [1] Romano, Patterson and Candès (2019), "Conformalized quantile regression".
    """

    slope: FloatArray
    direction: FloatArray
    offsets: FloatArray
    scale: FloatArray

    @classmethod
    def none(cls) -> Self:
        """Return the calibration that changes nothing."""
        return cls(np.ones(1), np.array([0.0, 1.0]), np.zeros(len(LEVELS)), np.ones(1))

    @classmethod
    def of(cls, outputs: OutputArrays, target: FloatArray, weight: FloatArray) -> Self:
        """Learn from outputs, labels and positive weights of shape (n_labels,)."""
        mean, deviation = outputs.mean, outputs.deviation
        power = float((weight * mean * mean).sum())
        slope = float((weight * mean * target).sum()) / power if power > 0 else 1.0
        slope = float(np.clip(slope, *_SLOPES))
        errors = (target - slope * mean) / deviation
        offsets = [
            conformal_quantiles((target - outputs.quantiles[:, place]) / deviation, weight, (level,))[0]
            for place, level in enumerate(LEVELS)
        ]
        return cls(
            slope=np.array([slope]),
            direction=platt(outputs.logit, target > 0, weight),
            offsets=np.array(offsets),
            scale=np.array([np.sqrt(np.average(errors**2, weights=weight))]),
        )

    def __call__(self, outputs: OutputArrays) -> OutputArrays:
        """Return the corrected outputs; the quantiles do not cross."""
        shifted = outputs.quantiles + outputs.deviation[..., None] * self.offsets
        return OutputArrays(
            mean=self.slope[0] * outputs.mean,
            deviation=self.scale[0] * outputs.deviation,
            logit=self.direction[0] + self.direction[1] * outputs.logit,
            quantiles=np.maximum.accumulate(shifted, axis=-1),
        )
