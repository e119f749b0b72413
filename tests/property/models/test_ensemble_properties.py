"""What holds of an ensemble whatever it is shown."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trader.models.ensemble import Ensemble

N_SYMBOLS = 20
shared = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _features(seed: int, n_slices: int, missing: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_slices, N_SYMBOLS, 7))
    features[rng.random(features.shape) < missing] = np.nan
    return features


@shared
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 0.5]))
def test_a_block_of_256_equals_its_instants_to_the_bit(ensemble: Ensemble, seed: int, missing: float) -> None:
    """Backtests that score blocks and live loops that score instants see the same numbers."""
    features = _features(seed, 256, missing)
    block = ensemble(features)
    for t in range(0, 256, 17):
        single = ensemble(features[t : t + 1])
        assert np.array_equal(single.score[0], block.score[t], equal_nan=True)
        for key, scores in block.members.items():
            assert np.array_equal(single.members[key][0], scores[t], equal_nan=True)


@shared
@given(st.integers(0, 2**32 - 1), st.permutations(range(N_SYMBOLS)))
def test_symbols_are_scored_alone(ensemble: Ensemble, seed: int, order: list[int]) -> None:
    """Permuting the symbols permutes the scores: no symbol's score depends on another's features."""
    features = _features(seed, 2, 0.1)
    assert np.array_equal(ensemble(features[:, order]).score, ensemble(features).score[:, order], equal_nan=True)


@shared
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.6]))
def test_score_lies_between_its_members(ensemble: Ensemble, seed: int, missing: float) -> None:
    """A weighted mean is never outside the range of what it averages, and is known where any member is."""
    prediction = ensemble(_features(seed, 3, missing))
    members = np.stack(list(prediction.members.values()))
    known = np.isfinite(members).any(axis=0)
    assert np.array_equal(np.isfinite(prediction.score), known)
    low, high = np.nanmin(members[:, known], axis=0), np.nanmax(members[:, known], axis=0)
    assert np.all((prediction.score[known] >= low - 1e-12) & (prediction.score[known] <= high + 1e-12))
