"""Standardisation shared by the linear models."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ["column_moments", "inverse_scale"]

FloatArray = NDArray[np.float64]


def column_moments(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean and the inverse standard deviation of each column, over its known rows.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
        NaN is missing.

    Returns
    -------
    center, inverse_scale : ndarray of shape (n_features,)
        A column that is constant or never known gets an inverse scale of 0, so that it adds nothing.

    Examples
    --------
    >>> center, inverse_scale = column_moments(np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0]]))
    >>> center.tolist(), inverse_scale.tolist()
    ([2.0, 5.0], [1.0, 0.0])
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column that is never known has an empty mean
        center = np.nan_to_num(np.nanmean(features, axis=0))
        scale = np.nan_to_num(np.nanstd(features, axis=0))
    return center, inverse_scale(center, scale)


def inverse_scale(center: FloatArray, scale: FloatArray) -> FloatArray:
    """Return ``1 / scale``; 0 where the scale is no more than rounding leaves of a constant."""
    noise = 1e-12 * np.abs(center)
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > noise)
