"""Simulated differences between equal arms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import lfilter


@pytest.fixture(scope="session")
def autoregression() -> Callable[..., np.ndarray]:
    """AR(1) of mean zero and unit variance with t innovations of 3 degrees of freedom, of shape (n_runs, n)."""

    def simulate(n_runs: int, n: int, phi: float = 0.6, seed: int = 0, degrees: float = 3.0) -> np.ndarray:
        noise = np.random.default_rng(seed).standard_t(degrees, size=(n_runs, n + 60))
        noise *= math.sqrt((1.0 - phi**2) * (degrees - 2.0) / degrees)
        return lfilter([1.0], [1.0, -phi], noise, axis=1)[:, 60:]

    return simulate
