"""Generalised Pareto tails against scipy, closed forms and samples of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from risk.tail.diagnostics import FRACTIONS, choose_fraction, goodness, mean_excess, stability
from risk.tail.gpd import GpdTail, fit_gpd, fit_tail, gpd_log_likelihood
from risk.tail.intervals import tail_interval
from risk.tail.spliced import fit_spliced
from trader.core.errors import DataError


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.15, 0.4, 0.9, 2.2])
def test_fit_is_scipy_s_maximum(shape: float) -> None:
    """The likelihood is no lower than scipy's, whose parameters are the same."""
    excesses = stats.genpareto.rvs(shape, scale=0.01, size=400, random_state=int(10 * shape) + 5)
    found = fit_gpd(excesses)
    theirs = stats.genpareto.fit(excesses, floc=0.0)
    ours = stats.genpareto.logpdf(excesses, found[0], scale=found[1]).sum()
    assert ours >= stats.genpareto.logpdf(excesses, theirs[0], scale=theirs[2]).sum() - 1e-5
    assert found == pytest.approx((theirs[0], theirs[2]), rel=0.01, abs=2e-3)
    assert gpd_log_likelihood(excesses, *found) == pytest.approx(ours)


def test_an_exponential_is_shape_zero() -> None:
    """The limit is reached from both sides, and its likelihood is that of an exponential."""
    excesses = stats.expon.rvs(scale=0.02, size=300, random_state=1)
    for shape in (1e-6, -1e-6, 0.0):
        expected = stats.expon.logpdf(excesses, scale=0.02).sum()
        assert gpd_log_likelihood(excesses, shape, 0.02) == pytest.approx(expected, rel=1e-4)
    assert gpd_log_likelihood(excesses, -1.0, 0.01) == -math.inf


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.25, 0.6])
def test_quantile_and_shortfall(shape: float) -> None:
    """scipy's quantile beyond the threshold, and the integral of quantiles."""
    tail = GpdTail(0.02, shape, 0.01, 100, 1000)

    def quantile(level: float) -> float:
        return 0.02 + float(stats.genpareto.ppf(1 - (1 - level) / 0.1, shape, scale=0.01))

    integral = integrate.quad(quantile, 0.99, 1.0, limit=500)[0] / 0.01
    assert tail.quantile(0.99) == pytest.approx(quantile(0.99))
    assert tail.shortfall(0.99) == pytest.approx(integral, rel=1e-3)
    drawn = tail.exceed(1.0 - np.random.default_rng(0).random(200_000))
    assert drawn.min() > 0.02
    assert np.quantile(drawn, 0.9) == pytest.approx(quantile(0.99), rel=0.01)


def test_tails_without_moments_are_told() -> None:
    """From shape .5 no variance, from 1 no mean."""
    assert GpdTail(0.0, 0.2, 1.0, 50, 500).warnings == ()
    assert "variance" in GpdTail(0.0, 0.6, 1.0, 50, 500).warnings[0]
    endless = GpdTail(0.0, 1.2, 1.0, 50, 500)
    assert "mean" in endless.warnings[0]
    assert endless.shortfall(0.99) == math.inf
    assert tail_interval(np.ones(50), endless, 0.99, "shortfall").high == math.inf
    assert "not regular" in GpdTail(0.0, -0.7, 1.0, 50, 500).warnings[0]


def test_beyond_the_sample_the_truth_of_a_t_is_found() -> None:
    """100,000 losses of a t with 4 degrees: the .9999 quantile and shortfall within 10 %."""
    losses = np.random.default_rng(3).standard_t(4, 100_000)
    tail = fit_tail(losses, 0.01)
    true = stats.t.ppf(0.9999, 4)
    assert tail.shape == pytest.approx(0.25, abs=0.08)
    assert tail.quantile(0.9999) == pytest.approx(true, rel=0.1)
    expected = stats.t.expect(lambda x: x, (4,), lb=true, conditional=True)
    assert tail.shortfall(0.9999) == pytest.approx(expected, rel=0.1)


def test_the_tail_begins_at_the_next_loss() -> None:
    """The threshold is the largest loss that is not among the worst; losses that tie with it do not exceed it."""
    losses = np.arange(1.0, 1001.0)
    tail = fit_tail(losses, 0.1)
    assert (tail.threshold, tail.n_exceedances, tail.chance) == (900.0, 100, 0.1)
    tied = np.concatenate([np.full(500, 0.01), np.linspace(0.02, 0.1, 60)])
    assert fit_tail(tied, 0.2).n_exceedances == 60


@pytest.mark.parametrize(("figure", "true"), [("quantile", 0.999), ("shortfall", 0.999)])
def test_intervals_hold_the_truth_as_often_as_they_say(figure: str, true: float) -> None:
    """80 samples of 2,000 from an exact GPD: a 90 % interval holds the truth in 80 to 98 %, and is wider upwards."""
    shape, scale, n_tail = 0.2, 0.01, 200
    exact = GpdTail(0.0, shape, scale, n_tail, 2000)
    target = exact.quantile(true) if figure == "quantile" else exact.shortfall(true)
    held, upward = 0, 0
    for seed in range(80):
        excesses = stats.genpareto.rvs(shape, scale=scale, size=n_tail, random_state=seed)
        fitted = GpdTail(0.0, *fit_gpd(excesses), n_tail, 2000)
        found = tail_interval(excesses, fitted, true, figure, 0.9)  # type: ignore[arg-type]
        assert found.low < found.estimate < found.high
        held += found.low <= target <= found.high
        upward += found.high - found.estimate > found.estimate - found.low
    assert 0.80 <= held / 80 <= 0.98
    assert upward > 72


def test_mean_excess_is_a_line_for_a_gpd() -> None:
    """Its slope is ``ξ / (1 − ξ)``; each value is the mean over its threshold."""
    losses = stats.genpareto.rvs(0.2, scale=0.01, size=50_000, random_state=2)
    thresholds, means = mean_excess(losses)
    assert means[7] == pytest.approx((losses[losses > thresholds[7]] - thresholds[7]).mean())
    slope = np.polyfit(thresholds[:35], means[:35], 1)[0]
    assert slope == pytest.approx(0.25, abs=0.05)


def test_goodness_is_that_of_scipy() -> None:
    """Kolmogorov-Smirnov's distance by scipy, Anderson-Darling's by its integral."""
    losses = stats.genpareto.rvs(0.2, scale=0.01, size=500, random_state=4)
    tail = fit_tail(losses, 0.4)
    found = goodness(losses, tail, n_simulations=100)
    excesses = np.sort(losses[losses > tail.threshold] - tail.threshold)
    fitted = stats.genpareto(tail.shape, scale=tail.scale)
    assert found.kolmogorov_smirnov == pytest.approx(stats.kstest(excesses, fitted.cdf).statistic, rel=1e-9)
    edges = np.concatenate([[0.0], fitted.cdf(excesses), [1.0]])
    n, steps = excesses.size, np.arange(excesses.size + 1) / excesses.size
    pieces = [
        integrate.quad(lambda u, s=s: (s - u) ** 2 / (u * (1 - u)), low, high, limit=200)[0]
        for s, low, high in zip(steps, edges[:-1], edges[1:], strict=True)
    ]
    assert found.anderson_darling == pytest.approx(n * sum(pieces), rel=1e-4)
    assert found == goodness(losses, tail, n_simulations=100)


@pytest.mark.parametrize("shape", [-0.1, 0.3, 2.0])
def test_a_right_tail_is_rejected_at_about_the_nominal_rate(shape: float) -> None:
    """25 samples that are generalised Pareto: p-values below .2 in at most 40 %, and .5 on average."""
    p_values = []
    for seed in range(25):
        losses = stats.genpareto.rvs(shape, size=150, random_state=seed)
        found = goodness(losses, fit_tail(losses, 0.4), n_simulations=39, seed=seed)
        p_values.append((found.ks_p, found.ad_p))
    assert ((np.array(p_values) < 0.2).mean(axis=0) <= 0.4).all()
    assert np.array(p_values).mean() == pytest.approx(0.5, abs=0.15)


def test_what_is_no_gpd_is_rejected() -> None:
    """Excesses in two heaps."""
    rng = np.random.default_rng(0)
    losses = np.concatenate([rng.normal(0.01, 0.0005, 200), rng.normal(0.05, 0.0005, 200), rng.uniform(-1, 0, 600)])
    assert goodness(losses, fit_tail(losses, 0.3), n_simulations=100).ad_p < 0.02


def test_the_chosen_tail_is_the_largest_that_fits() -> None:
    """All of an exact GPD is taken; where normal losses have a few of another kind, the fitted tail is smaller."""
    exact = stats.genpareto.rvs(0.2, scale=0.01, size=2000, random_state=8)
    fraction, test = choose_fraction(exact)
    assert fraction == FRACTIONS[0]
    assert test.ad_p > 0.1
    rng = np.random.default_rng(1)
    mixed = np.concatenate([rng.normal(0, 0.001, 3700), 0.01 + rng.exponential(0.02, 300)])
    assert choose_fraction(mixed)[0] <= 0.075
    rows = stability(exact, 0.98)
    assert [row.fraction for row in rows] == list(FRACTIONS)
    assert rows[0].quantile == pytest.approx(rows[-1].quantile, rel=0.1)
    with pytest.raises(DataError, match="100 periods"):
        choose_fraction(exact[:100])


def test_spliced_is_the_sample_and_the_tail() -> None:
    """Below the threshold the historical figures, beyond it the tail's; draws have the tail's quantile."""
    from risk.var.historical import historical

    returns = np.random.default_rng(5).standard_t(4, 2000) * 0.01
    found = fit_spliced(returns)
    assert found.var_es(0.8) == historical(returns, 0.8)
    assert found.var_es(0.995) == (found.tail.quantile(0.995), found.tail.shortfall(0.995))
    drawn = found.draw(np.random.default_rng(0), (1, 400_000))[0]
    assert historical(drawn, 0.995) == pytest.approx(found.var_es(0.995), rel=0.03)
    assert drawn.min() < returns.min()


@pytest.mark.parametrize(
    ("losses", "fraction", "message"),
    [
        (np.arange(100.0), 0.1, "is 10; at least 20"),
        (np.arange(100.0), 0.0, "fraction=0.0"),
        (np.ones(400), 0.1, "hold 0 above"),
        (np.full(400, np.nan), 0.1, "NaN"),
    ],
)
def test_what_is_refused(losses: np.ndarray, fraction: float, message: str) -> None:
    """Too few, ties, NaN; levels the tail says nothing of."""
    with pytest.raises(DataError, match=message):
        fit_tail(losses, fraction)
    with pytest.raises(DataError, match="below the threshold"):
        GpdTail(0.0, 0.1, 1.0, 50, 1000).quantile(0.9)
