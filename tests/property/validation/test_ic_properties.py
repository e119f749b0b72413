"""What holds of information coefficients whatever the data."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trader.validation.ic import information_coefficient

values = st.floats(-100, 100, width=32) | st.just(np.nan)
panels = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=values)


@given(panels, st.integers(0, 2**32 - 1))
def test_ic_is_bounded_and_symmetric(scores: np.ndarray, seed: int) -> None:
    """Every IC lies in [-1, 1], and swapping the sides changes nothing."""
    returns = np.random.default_rng(seed).normal(size=scores.shape)
    for method in ("rank", "pearson"):
        ic = information_coefficient(scores, returns, method, min_symbols=2)
        assert np.all((np.abs(ic) <= 1.0) | np.isnan(ic))
        assert np.allclose(ic, information_coefficient(returns, scores, method, min_symbols=2), equal_nan=True)


@given(panels, st.integers(0, 2**32 - 1))
def test_rank_ic_sees_only_the_order(scores: np.ndarray, seed: int) -> None:
    """An increasing transform of the scores leaves the rank IC; the negative turns its sign."""
    returns = np.random.default_rng(seed).normal(size=scores.shape)
    ic = information_coefficient(scores, returns, min_symbols=2)
    doubled = information_coefficient(2.0 * scores, returns, min_symbols=2)
    negated = information_coefficient(-scores, returns, min_symbols=2)
    assert np.array_equal(ic, doubled, equal_nan=True)
    assert np.allclose(negated, -ic, equal_nan=True)


@given(panels, st.integers(0, 2**32 - 1))
def test_symbols_may_be_permuted(scores: np.ndarray, seed: int) -> None:
    """The order of the columns does not matter."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=scores.shape)
    order = rng.permutation(scores.shape[1])
    ic = information_coefficient(scores, returns, min_symbols=2)
    assert np.allclose(ic, information_coefficient(scores[:, order], returns[:, order], min_symbols=2), equal_nan=True)
