"""Coverage tests against the tables and examples that were published, and their size on simulated exceedances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from risk.validation.coverage import conditional_coverage, exceedances, independence, kupiec
from risk.validation.traffic_light import ZONES, traffic_light, zone_shares
from trader.core.errors import DataError

# Kupiec (1995), table 3, as Jorion's "Value at Risk" reprints it: exceedances that do not reject at 5 %.
KUPIEC = {
    (255, 0.99): (0, 7),
    (510, 0.99): (1, 11),
    (1000, 0.99): (4, 17),
    (255, 0.975): (2, 12),
    (510, 0.975): (6, 21),
    (1000, 0.975): (15, 36),
    (255, 0.95): (6, 21),
    (510, 0.95): (16, 36),
    (1000, 0.95): (37, 65),
    (255, 0.925): (11, 28),
    (510, 0.925): (27, 51),
    (1000, 0.925): (59, 92),
    (255, 0.90): (16, 36),
    (510, 0.90): (38, 65),
    (1000, 0.90): (81, 120),
}


@pytest.mark.parametrize(("case", "bounds"), KUPIEC.items())
def test_kupiec_s_table(case: tuple[int, float], bounds: tuple[int, int]) -> None:
    """Every count strictly between the bounds is kept at 5 %, the bounds are rejected."""
    n_periods, level = case
    low, high = bounds
    kept = [n for n in range(n_periods // 2) if kupiec(n, n_periods, level).p_value > 0.05]
    assert kept == list(range(low + 1, high))


def _hits(n00: int, n01: int, n10: int, n11: int) -> np.ndarray:
    """Return exceedances with these numbers of transitions; n01 and n10 must be equal."""
    assert n01 == n10
    runs = np.full(n01, 1 + n11 // n01)
    runs[: n11 % n01] += 1
    calm = np.full(n01 + 1, 1 + n00 // (n01 + 1))
    calm[: n00 - (calm[0] - 1) * (n01 + 1)] += 1
    pieces = [np.zeros(calm[0], bool)]
    for run, rest in zip(runs, calm[1:], strict=True):
        pieces += [np.ones(run, bool), np.zeros(rest, bool)]
    return np.concatenate(pieces)


def test_christoffersen_as_jorion_has_it() -> None:
    """J.P. Morgan 1998: 252 days at 95 %, 20 exceedances, 6 of them after another: 3.91, 9.53 and 13.44."""
    hits = _hits(218, 14, 14, 6)
    pairs = np.bincount(2 * hits[:-1] + hits[1:]).tolist()
    assert pairs == [218, 14, 14, 6]
    # Jorion counts 252 transitions, so one day more than exceedances are counted over.
    assert kupiec(20, 252, 0.95).statistic == pytest.approx(3.91, abs=5e-3)
    assert independence(hits).statistic == pytest.approx(9.53, abs=5e-3)
    assert conditional_coverage(hits, 0.95).statistic == pytest.approx(13.44, abs=0.08)
    assert conditional_coverage(hits, 0.95).p_value < 0.01


def test_independence_is_a_g_test() -> None:
    """The likelihood ratio of a two-way table, by scipy."""
    hits = _hits(400, 30, 30, 9)
    table = [[400, 30], [30, 9]]
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    found = independence(hits)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("test", ["kupiec", "independence", "both"])
def test_right_figures_are_rejected_at_about_the_nominal_rate(test: str) -> None:
    """2,000 histories of 2,000 days at .95: rejections at 5 % between 3 and 8 %."""
    rng = np.random.default_rng(6)
    histories = rng.random((2000, 2000)) < 0.05
    p_values = [
        kupiec(int(hits.sum()), hits.size, 0.95).p_value
        if test == "kupiec"
        else (independence(hits) if test == "independence" else conditional_coverage(hits, 0.95)).p_value
        for hits in histories
    ]
    assert 0.03 < np.mean(np.array(p_values) < 0.05) < 0.08


def test_clusters_are_found_where_the_share_is_right() -> None:
    """A Markov chain with 5 % exceedances of which half follow another."""
    rng = np.random.default_rng(0)
    hits, state = np.zeros(2000, bool), False
    for i, u in enumerate(rng.random(2000)):
        state = bool(u < (0.5 if state else 0.05 * 0.5 / 0.95))
        hits[i] = state
    assert independence(hits).p_value < 1e-6
    assert conditional_coverage(hits, 0.95).p_value < 1e-6


def test_without_exceedances_independence_says_nothing() -> None:
    """NaN, and NaN together; only the share speaks."""
    none = np.zeros(500, bool)
    assert math.isnan(independence(none).p_value)
    assert math.isnan(conditional_coverage(none).p_value)
    assert kupiec(0, 500).p_value < 0.05
    assert kupiec(500, 500).statistic == pytest.approx(-2 * 500 * math.log(0.01))
    assert kupiec(5, 500).statistic == pytest.approx(0.0, abs=1e-12)


def test_exceedances() -> None:
    """A loss beyond, not one that equals."""
    assert exceedances([-0.03, -0.02, 0.05], [0.02, 0.02, 0.02]).tolist() == [True, False, False]
    with pytest.raises(DataError, match=r"shape \(1,\)"):
        exceedances([0.1, 0.2], [0.1])
    with pytest.raises(DataError, match="NaN"):
        exceedances([np.nan], [0.1])


def test_the_committee_s_table() -> None:
    """Basel (1996), table 2: zones, cumulative chances in percent and additions for 250 days at 99 %."""
    cumulative = [8.11, 28.58, 54.32, 75.81, 89.22, 95.88, 98.63, 99.60, 99.89, 99.97, 99.99]
    plus = [0, 0, 0, 0, 0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.0]
    for n, (chance, addition) in enumerate(zip(cumulative, plus, strict=True)):
        found = traffic_light(n)
        assert 100 * found.cumulative == pytest.approx(chance, abs=6e-3)
        assert found.plus == addition
        assert found.zone == ("green" if n < 5 else "yellow" if n < 10 else "red")
    assert traffic_light(30).plus == 1.0
    assert traffic_light(30, 500).plus is None


def test_zone_shares_are_counted() -> None:
    """By looking at every stretch."""
    hits = np.random.default_rng(1).random(900) < 0.03
    zones = [traffic_light(int(hits[i : i + 250].sum())).zone for i in range(651)]
    assert zone_shares(hits) == pytest.approx({zone: zones.count(zone) / 651 for zone in ZONES})
    with pytest.raises(DataError, match="250 or more"):
        zone_shares(hits[:100])


def test_what_is_refused() -> None:
    """Counts that cannot be."""
    for count, periods in ((5, 4), (-1, 10), (0, 0)):
        with pytest.raises(DataError, match="n_exceedances"):
            kupiec(count, periods)
        with pytest.raises(DataError, match="n_exceedances"):
            traffic_light(count, periods)
    with pytest.raises(DataError, match=r"shape \(1,\)"):
        independence([True])
