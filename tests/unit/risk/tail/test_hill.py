"""Hill's estimator against scipy's Pareto and known tails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from risk.tail.hill import hill, hill_shapes
from trader.core.errors import DataError


def test_shapes_are_the_pareto_maximum_likelihood() -> None:
    """With k losses, one over the index that scipy fits to them from the next one on."""
    losses = np.random.default_rng(0).pareto(3, 500) + 1
    shapes = hill_shapes(losses, 60)
    ordered = np.sort(losses)[::-1]
    for k in (5, 20, 60):
        index, _, _ = stats.pareto.fit(ordered[:k], floc=0.0, fscale=ordered[k])
        assert shapes[k - 1] == pytest.approx(1 / index, rel=1e-3)


def test_an_exact_power_has_no_bias() -> None:
    """The interval holds the truth in about 95 % of 200 samples, and nothing is warned of in most."""
    held = warned = 0
    for seed in range(200):
        found = hill(np.random.default_rng(seed).pareto(3, 2000) + 1)
        held += found.low <= 1 / 3 <= found.high
        warned += bool(found.warnings)
    assert 0.85 <= held / 200 <= 0.99  # the plateau is chosen on the same data
    assert warned < 50


def test_the_bias_of_a_t_is_corrected() -> None:
    """A t is a power in the limit only: of 30 samples the corrected shape is nearer the truth on average."""
    plain, corrected = [], []
    for seed in range(30):
        found = hill(np.random.default_rng(seed).standard_t(3, 5000))
        plain.append(found.shape)
        corrected.append(found.corrected)
    assert abs(np.mean(corrected) - 1 / 3) < 0.5 * abs(np.mean(plain) - 1 / 3)


def test_bias_is_told() -> None:
    """Normal losses have no power tail: the shape moves with the number of losses."""
    assert "moves with the number" in hill(np.random.default_rng(0).normal(size=20_000)).warnings[0]


def test_weissman_s_quantile() -> None:
    """A Pareto's quantile and shortfall beyond the sample, with the number of losses given or found."""
    losses = np.random.default_rng(4).pareto(4, 20_000) + 1
    for n_used in (None, 2000):
        found = hill(losses, n_used)
        assert found.quantile(0.9999) == pytest.approx(0.0001**-0.25, rel=0.15)
        assert found.shortfall(0.9999) == pytest.approx(0.0001**-0.25 / 0.75, rel=0.2)
        assert found.index == pytest.approx(4, rel=0.1)
    assert found.n_used == 2000
    with pytest.raises(DataError, match=r"level=0\.6"):
        found.quantile(0.6)


@pytest.mark.parametrize(
    ("losses", "n_used", "message"),
    [
        (np.arange(50.0), None, "50 periods"),
        (-np.ones(200), None, "0 losses are above 0"),
        (np.ones(200), 20, "all the same"),
        (np.arange(200.0), 400, "n_largest=400"),
    ],
)
def test_what_is_refused(losses: np.ndarray, n_used: int | None, message: str) -> None:
    """Too few, gains only, ties, more than there are."""
    with pytest.raises(DataError, match=message):
        hill(losses, n_used)
