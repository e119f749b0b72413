"""What is kept of losses gives their quantiles and tail means, merged in any order to the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from risk.simulation.tally import LossTally, n_kept
from trader.core.errors import DataError

LOSSES = np.random.default_rng(1).standard_t(3, 20_000) * 0.02


@pytest.mark.parametrize("level", [0.9, 0.95, 0.975, 0.99, 0.999])
def test_figures_are_those_of_numpy(level: float) -> None:
    """The quantile is numpy's inverted CDF, the shortfall the mean of the worst share; bins are off by .02 %."""
    var = np.quantile(LOSSES, level, method="inverted_cdf")
    es = np.sort(LOSSES)[-round(LOSSES.size * (1 - level)) :].mean()
    exact, binned = LossTally(n_kept(LOSSES.size, [level]), 0.02), LossTally(0, 0.02)
    for tally in (exact, binned):
        for part in np.array_split(LOSSES, 7):
            tally.add(part)
    assert exact.exact
    assert exact.var(level) == var
    assert exact.es(level) == pytest.approx(es, rel=1e-12)
    assert binned.var(level) == pytest.approx(var, rel=2e-4)
    assert binned.es(level) == pytest.approx(es, rel=2e-4)
    for tally in (exact, binned):
        low, high = tally.var_interval(level)
        assert low < var < high
        assert tally.mean == pytest.approx(LOSSES.mean(), abs=1e-15)
        assert tally.deviation == pytest.approx(LOSSES.std(), rel=1e-12)
        assert tally.highest == LOSSES.max()


def test_shortfall_counts_the_path_at_the_edge_in_part() -> None:
    """Of 10 losses, a tail of 25 % is two and a half."""
    tally = LossTally(10, 1.0)
    tally.add(np.arange(10.0))
    assert tally.var(0.75) == 7.0
    assert tally.es(0.75) == pytest.approx((9.0 + 8.0 + 0.5 * 7.0) / 2.5)


@pytest.mark.parametrize("kept", [300, 0])
def test_order_makes_no_difference(kept: int) -> None:
    """Parts merged in other orders and groups give the same bits."""
    parts = np.array_split(LOSSES, 11)
    found = set()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(parts))
        groups = np.array_split(order, 1 + seed)
        total = LossTally(kept, 0.02)
        for group in groups:
            tally = LossTally(kept, 0.02)
            for place in group:
                tally.add(parts[place])
            tally.trim()
            total.merge(tally)
        found.add((total.n, total.mean, total.deviation, total.highest, total.var(0.99), total.es(0.99)))
    assert len(found) == 1


def test_only_the_worst_are_kept() -> None:
    """Memory is that of the tail, whatever has been added."""
    tally = LossTally(100, 0.02)
    for _ in range(40):
        tally.add(LOSSES)
        assert tally.worst.size + tally.n_waiting <= 200_000
    tally.trim()
    assert tally.worst.size == 100
    assert n_kept(100_000_000, [0.99]) > 1_000_000
    assert n_kept(100_000_000, [0.95]) == 0


def test_floors_lose_nothing() -> None:
    """A tally that is told what another holds sends less, and the worst of both are the same."""
    plain, told, first = (LossTally(500, 0.02) for _ in range(3))
    first.add(LOSSES[:15_000])
    first.trim()
    second = LossTally(500, 0.02, floor=first.floor)
    second.add(LOSSES[15_000:])
    second.trim()
    assert 0 < second.worst.size < 500
    told.merge(second)
    told.merge(first)
    plain.add(LOSSES)
    told.trim()
    plain.trim()
    np.testing.assert_array_equal(np.sort(told.worst), np.sort(plain.worst))
    assert told.n == plain.n == LOSSES.size


def test_tallies_of_other_sizes_do_not_merge() -> None:
    """Bins of another width cannot be added."""
    with pytest.raises(DataError, match="do not merge"):
        LossTally(0, 0.02).merge(LossTally(0, 0.03))


def test_losses_beyond_the_bins_count_in_the_last() -> None:
    """And figures never exceed the greatest loss."""
    tally = LossTally(0, 1.0)
    tally.add(np.array([-1e9, 0.0, 1e9, 2.0]))
    assert tally.n == int(tally.counts.sum()) == 4
    assert tally.var(0.6) == pytest.approx(2.0, rel=2e-4)
    assert tally.es(0.9) <= 1e9
