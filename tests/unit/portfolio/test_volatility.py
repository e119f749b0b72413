from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from trader.portfolio.volatility import EwmaRisk

HALFLIFE = 7.0


def _fed(returns: np.ndarray, **options: int) -> EwmaRisk:
    risk = EwmaRisk(returns.shape[1], HALFLIFE, **options)
    for row in returns:
        risk.update(row)
    return risk


@pytest.fixture
def returns() -> np.ndarray:
    return np.random.default_rng(3).normal(0.0, [0.01, 0.02, 0.005], (60, 3))


def test_covariance_is_that_of_pandas(returns: np.ndarray) -> None:
    """Without gaps every entry is the exponentially weighted mean of products, as pandas computes it."""
    covariance = _fed(returns).covariance()
    for i in range(3):
        for j in range(3):
            products = pd.Series(returns[:, i] * returns[:, j])
            assert covariance[i, j] == pytest.approx(products.ewm(halflife=HALFLIFE).mean().iloc[-1], rel=1e-12)


def test_gaps_do_not_age_a_variance(returns: np.ndarray) -> None:
    """A name's variance weighs its own returns by their number, as pandas with ignore_na does."""
    returns[[3, 17, 18, 59], 1] = np.nan
    volatility = _fed(returns).volatility
    squares = pd.Series(returns[:, 1] ** 2).ewm(halflife=HALFLIFE, ignore_na=True).mean()
    assert volatility[1] == pytest.approx(np.sqrt(squares.iloc[-1]), rel=1e-12)


def test_covariance_stays_positive_semidefinite_with_gaps() -> None:
    """Even when most returns are missing and there are more names than instants."""
    rng = np.random.default_rng(5)
    returns = rng.normal(size=(40, 60))
    returns[rng.random(returns.shape) < 0.7] = np.nan
    covariance = _fed(returns, min_observations=1).covariance()
    assert np.isfinite(covariance).all()
    assert np.linalg.eigvalsh(covariance).min() > -1e-12


def test_volatility_waits_for_enough_returns(returns: np.ndarray) -> None:
    """NaN before min_observations returns of the symbol itself."""
    returns[:5, 2] = np.nan
    assert np.isfinite(_fed(returns[:10]).volatility).tolist() == [True, True, False]
    assert np.isfinite(_fed(returns[:15]).volatility).all()


def test_a_name_that_never_moved_has_no_correlation() -> None:
    """Zero over zero is NaN, not a number somebody might trade on."""
    risk = _fed(np.array([[0.01, 0.0], [0.02, 0.0]]))
    assert np.isnan(risk.correlation()[1]).all()


def test_state_survives_json(returns: np.ndarray) -> None:
    """The estimates go on bit for bit."""
    whole = _fed(returns)
    risk = EwmaRisk(3, HALFLIFE)
    risk.restore(json.loads(json.dumps(_fed(returns[:31]).state())))
    for row in returns[31:]:
        risk.update(row)
    assert risk.state() == whole.state()
