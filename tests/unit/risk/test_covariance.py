"""Covariances against numpy, scikit-learn and skfolio, and on spectra of known truth."""

from __future__ import annotations

import numpy as np
import pytest

from risk.covariance import COVARIANCES, covariance, covariance_warnings, factor_of
from trader.core.errors import DataError


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    return np.random.default_rng(0).standard_t(5, (300, 8)) @ np.random.default_rng(1).normal(size=(8, 8)) * 0.01


def test_sample_is_numpy_s(returns: np.ndarray) -> None:
    """n − 1 in the denominator."""
    assert covariance(returns) == pytest.approx(np.cov(returns.T), rel=1e-12)


def test_ewma_is_the_recursion(returns: np.ndarray) -> None:
    """RiskMetrics: ``Σ' = λ Σ + (1 − λ) r r'``; the beginning is forgotten."""
    matrix = np.zeros((8, 8))
    for row in returns:
        matrix = 0.9 * matrix + 0.1 * np.outer(row, row)
    assert covariance(returns, "ewma", decay=0.9) == pytest.approx(matrix, rel=1e-9)


def test_ledoit_wolf_shrinks_towards_the_truth() -> None:
    """With hardly more periods than assets it is nearer the truth than the sample, and well conditioned."""
    truth = np.diag(np.linspace(1, 3, 40))
    drawn = np.random.default_rng(3).normal(size=(60, 40)) * np.sqrt(np.diag(truth))
    shrunk, plain = covariance(drawn, "ledoit_wolf"), covariance(drawn)
    assert np.linalg.norm(shrunk - truth) < 0.7 * np.linalg.norm(plain - truth)
    assert np.linalg.cond(shrunk) < 0.2 * np.linalg.cond(plain)


def test_denoising_keeps_the_market_and_flattens_noise() -> None:
    """One factor and noise: the largest eigenvalue stays, the others become equal; variances stay."""
    rng = np.random.default_rng(5)
    drawn = rng.normal(size=(400, 1)) * 0.02 + rng.normal(size=(400, 30)) * 0.02
    plain, clean = covariance(drawn), covariance(drawn, "denoised")
    spectrum = np.linalg.eigvalsh(clean / np.sqrt(np.outer(np.diag(clean), np.diag(clean))))
    assert np.ptp(spectrum[:-1]) < 0.05 * spectrum[-1]
    assert spectrum[-1] == pytest.approx(np.linalg.eigvalsh(np.corrcoef(drawn.T))[-1], rel=0.03)
    assert np.diag(clean) == pytest.approx(np.diag(plain), rel=0.01)


@pytest.mark.parametrize("method", COVARIANCES)
def test_all_are_symmetric_and_semidefinite(returns: np.ndarray, method: str) -> None:
    """So that a portfolio's variance is never negative."""
    matrix = covariance(returns, method)
    assert matrix == pytest.approx(matrix.T, rel=1e-12)
    assert np.linalg.eigvalsh(matrix)[0] > -1e-15


def test_a_factor_gives_the_matrix_back(returns: np.ndarray) -> None:
    """Singular or not; what is no covariance is refused."""
    matrix = covariance(returns)
    singular = covariance(np.column_stack([returns, returns[:, 0]]))
    for wanted in (matrix, singular):
        factor = factor_of(wanted)
        assert factor @ factor.T == pytest.approx(wanted, abs=1e-12)
    with pytest.raises(DataError, match="eigenvalue"):
        factor_of(np.diag([1.0, -1.0]))


def test_warnings(returns: np.ndarray) -> None:
    """Too few periods, a direction without variance, nothing."""
    assert covariance_warnings(covariance(returns), 300) == ()
    assert "5 periods cannot tell 8 assets" in covariance_warnings(covariance(returns[:5]), 5)[0]
    doubled = covariance(np.column_stack([returns, returns[:, 0]]))
    assert "1 of 9 directions" in covariance_warnings(doubled, 300)[0]


@pytest.mark.parametrize(
    ("values", "method", "message"),
    [
        (np.zeros(5), "sample", r"shape \(5,\)"),
        (np.zeros((1, 2)), "sample", r"shape \(1, 2\)"),
        (np.full((5, 2), np.nan), "sample", "NaN"),
        (np.zeros((5, 2)), "exotic", "method='exotic'"),
        (np.zeros((5, 2)), "denoised", "do not vary"),
    ],
)
def test_what_is_refused(values: np.ndarray, method: str, message: str) -> None:
    """Shapes, NaN, names, flat assets."""
    with pytest.raises(DataError, match=message):
        covariance(values, method)
