"""Print the false positive rates that the docstrings and docs/concepts/experiment-statistics.md state.

Run it as ``python tests/unit/validation/experiments/measure_behaviour.py``; it takes about two minutes of one core.
Differences and arms are AR(phi) of unit variance with Student t innovations of 3 degrees of freedom and no effect.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from trader.validation.experiments import (
    ExperimentPlan,
    SequentialComparison,
    StreamingMoments,
    block_means,
    bootstrap_test,
    chi_square,
    cliffs_delta,
    cohens_d,
    confidence_sequence,
    hac_test,
    long_run_variance,
    mann_whitney,
    noninferiority_test,
    paired_t,
    posterior_of_mean,
    power_of,
    sample_size,
    sequential_sample_ratio,
    sequential_sample_size,
    spending_boundaries,
    variance_inflation,
    welch_t,
)

SEED = 11
PHIS = (0.0, 0.3, 0.6, 0.9)


def series(n_runs: int, n: int, phi: float, seed: int, degrees: float = 3.0) -> np.ndarray:
    """Stationary AR(1) of unit variance with t innovations, of shape (n_runs, n)."""
    noise = np.random.default_rng(seed).standard_t(degrees, size=(n_runs, n + 100))
    noise *= math.sqrt((1.0 - phi**2) * (degrees - 2.0) / degrees)
    return lfilter([1.0], [1.0, -phi], noise, axis=1)[:, 100:]


def two_arms(test: Callable[[np.ndarray, np.ndarray], float], phi: float, n_runs: int = 2000, n: int = 500) -> float:
    a, b = series(n_runs, n, phi, SEED), series(n_runs, n, phi, SEED + 1)
    return float(np.mean([test(x, y) < 0.05 for x, y in zip(a, b, strict=True)]))


def one_series(test: Callable[[np.ndarray], float], phi: float, n_runs: int = 2000, n: int = 500) -> float:
    return float(np.mean([test(x) < 0.05 for x in series(n_runs, n, phi, SEED)]))


def excludes_zero(low: float, high: float) -> float:
    return float(low <= 0.0 <= high)


def sign_table(x: np.ndarray, y: np.ndarray) -> float:
    return chi_square([[np.sum(x > 0), np.sum(x <= 0)], [np.sum(y > 0), np.sum(y <= 0)]])


def cohen(x: np.ndarray, y: np.ndarray) -> float:
    found = cohens_d(x, y)
    return excludes_zero(found.low, found.high)


def cliff(x: np.ndarray, y: np.ndarray) -> float:
    return cliffs_delta(x, y, inflation=max(variance_inflation(x), variance_inflation(y), 1.0)).p_value


def bayes(x: np.ndarray, inflation: float = 1.0) -> float:
    above = posterior_of_mean(x, inflation=inflation).probability_above()
    return 2.0 * min(above, 1.0 - above)


def spending(x: np.ndarray, plain: bool) -> float:
    looks = (np.array([0.2, 0.4, 0.6, 0.8, 1.0]) * x.size).astype(int)
    variances = [x[:n].var() if plain else long_run_variance(x[:n]) for n in looks]
    z = [abs(x[:n].mean()) / math.sqrt(v / n) for n, v in zip(looks, variances, strict=True)]
    return float(not np.any(np.array(z) > BOUNDS))


def naive_peeking(x: np.ndarray) -> float:
    n = np.arange(1, x.size + 1)
    mean = np.cumsum(x) / n
    variance = np.cumsum(x**2) / n - mean**2
    return float(not np.any((np.abs(mean) > 1.96 * np.sqrt(variance / n))[29:]))


def sequence_plain(x: np.ndarray) -> float:
    n = np.arange(1, x.size + 1)
    mean = np.cumsum(x) / n
    variance = np.cumsum(x**2) / n - mean**2
    low, high = confidence_sequence(n[29:], mean[29:], variance[29:], planned=x.size)
    return float(not np.any((low > 0.0) | (high < 0.0)))


def sequence_long_run(x: np.ndarray) -> float:
    moments, rows = StreamingMoments(), []
    for start in range(0, x.size, 20):
        moments.add(x[start : start + 20])
        if moments.n >= 200:
            rows.append((moments.n, moments.mean, moments.long_run_variance))
    low, high = confidence_sequence(*np.array(rows).T, planned=x.size)
    return float(not np.any((low > 0.0) | (high < 0.0)))


def watched(x: np.ndarray, block_length: int = 20, planned: int | None = None) -> str | None:
    comparison = SequentialComparison(ExperimentPlan("pnl", planned=planned or x.size, block_length=block_length))
    comparison.add(x)
    return comparison.result().direction


def comparison(x: np.ndarray) -> float:
    return float(watched(x) is None)


BOUNDS = spending_boundaries([0.2, 0.4, 0.6, 0.8, 1.0])


def main() -> None:
    def say(name: str, rates: list[float]) -> None:
        sys.stdout.write(f"{name:<44}" + "  ".join(f"{rate:.3f}" for rate in rates) + "\n")
        sys.stdout.flush()

    say("AR coefficient, n=500, 2000 runs", list(PHIS))
    say("welch_t", [two_arms(lambda x, y: welch_t(x, y).p_value, phi) for phi in PHIS])
    say("mann_whitney", [two_arms(lambda x, y: mann_whitney(x, y).p_value, phi) for phi in PHIS])
    say("cohens_d interval", [two_arms(cohen, phi, 1000) for phi in PHIS])
    say("cliffs_delta", [two_arms(lambda x, y: cliffs_delta(x, y).p_value, phi) for phi in PHIS])
    say("cliffs_delta, inflated", [two_arms(cliff, phi) for phi in PHIS])
    say("chi_square of signs", [two_arms(sign_table, phi) for phi in PHIS])
    say("paired_t", [one_series(lambda x: paired_t(x, np.zeros_like(x)).p_value, phi) for phi in PHIS])
    blocks = [one_series(lambda x: paired_t(block_means(x, 20), np.zeros(x.size // 20)).p_value, phi) for phi in PHIS]
    say("paired_t of block_means 20", blocks)
    say("hac_test cosine", [one_series(lambda x: hac_test(x).p_value, phi) for phi in PHIS])
    say("hac_test bartlett", [one_series(lambda x: hac_test(x, kernel="bartlett").p_value, phi) for phi in PHIS])
    say("bootstrap_test", [one_series(lambda x: bootstrap_test(x, n_resamples=399).p_value, phi, 500) for phi in PHIS])
    say("bayes", [one_series(bayes, phi) for phi in PHIS])
    say("bayes, inflated", [one_series(lambda x: bayes(x, max(variance_inflation(x), 1.0)), phi) for phi in PHIS])
    say("spending 5 looks, plain", [one_series(lambda x: spending(x, True), phi) for phi in PHIS])
    say("spending 5 looks, long-run", [one_series(lambda x: spending(x, False), phi) for phi in PHIS])
    at_margin = [one_series(lambda x: 2 * noninferiority_test(x - 0.1, 0.1).p_value, phi) for phi in PHIS]
    say("noninferiority at the margin, alpha .025", at_margin)
    sys.stdout.write("watched to n=2000, 2000 runs\n")
    say("naive t, every observation from 30", [one_series(naive_peeking, phi, 2000, 2000) for phi in PHIS])
    say("confidence_sequence, plain", [one_series(sequence_plain, phi, 2000, 2000) for phi in PHIS])
    say("confidence_sequence, long-run, from 200", [one_series(sequence_long_run, phi, 1000, 2000) for phi in PHIS])
    say("SequentialComparison", [one_series(comparison, phi, 4000, 2000) for phi in PHIS])
    winners = [np.mean([watched(x) == "above" for x in series(4000, 2000, phi, SEED)]) for phi in PHIS]
    say("  of which false winners", winners)
    say(
        "SequentialComparison, blocks of 1",
        [np.mean([watched(x, 1) is not None for x in series(2000, 2000, phi, SEED)]) for phi in PHIS],
    )
    say(
        "SequentialComparison to n=20000, planned 2000",
        [np.mean([watched(x, planned=2000) is not None for x in series(1000, 20_000, phi, SEED)]) for phi in PHIS],
    )
    garch = volatile(2000, 2000)
    say("SequentialComparison, GARCH(1,1) t", [np.mean([watched(x) is not None for x in garch])])
    say(
        "  false winners: exponential, lognormal, crash",
        [np.mean([watched(x) == "above" for x in values]) for values in skewed(2000, 2000)],
    )
    drawn = np.random.default_rng(SEED).random((1000, 2000)) < 0.5
    counts = np.cumsum(drawn, axis=1)[:, 19::20]
    ever = [
        min(sequential_sample_ratio([c, n - c], [1, 1], 200.0) for c, n in zip(row, range(20, 2001, 20), strict=True))
        < 0.05
        for row in counts[:500]
    ]
    say("sequential_sample_ratio, 500 runs", [np.mean(ever)])
    say(
        "long_run_variance, mean over truth",
        [np.mean([long_run_variance(x) for x in series(2000, 500, phi, SEED)]) * (1 - phi) / (1 + phi) for phi in PHIS],
    )
    ratios = []
    for phi in PHIS:
        found = []
        for x in series(2000, 500, phi, SEED):
            moments = StreamingMoments()
            moments.add(x)
            found.append(moments.long_run_variance)
        ratios.append(np.mean(found) * (1 - phi) / (1 + phi))
    say("StreamingMoments, the same", ratios)
    sys.stdout.write("power at the planned size, 2000 runs, AR(.6)\n")
    for effect in (0.1, 0.25, 0.5):
        n = sample_size(effect, inflation=4.0)
        power = np.mean([hac_test(x + effect).p_value < 0.05 for x in series(2000, n, 0.6, SEED)])
        m = sequential_sample_size(effect, block_length=20, inflation=4.0)
        found = np.mean([watched(x + effect) == "above" for x in series(2000, m, 0.6, SEED)])
        say(f"effect {effect}: hac n={n}, sequential n={m}", [power, power_of(effect, n, inflation=4.0), found])


def volatile(n_runs: int, n: int) -> np.ndarray:
    """GARCH(1,1) with alpha .1, beta .85 and t innovations of 4 degrees of freedom, filtered by AR(.6)."""
    noise = np.random.default_rng(SEED).standard_t(4.0, size=(n + 100, n_runs)) / math.sqrt(2.0)
    variance, out = np.ones(n_runs), np.empty_like(noise)
    for row, shock in enumerate(noise):
        out[row] = shock * np.sqrt(variance)
        variance = 0.05 + 0.1 * out[row] ** 2 + 0.85 * variance
    return lfilter([1.0], [1.0, -0.6], out.T, axis=1)[:, 100:]


def skewed(n_runs: int, n: int) -> list[np.ndarray]:
    """Fair bets with long losing tails, filtered by AR(.6): exponential, lognormal, and a crash once in 500."""
    rng = np.random.default_rng(SEED)
    shape = (n_runs, n + 100)
    noises = [
        1.0 - rng.exponential(size=shape),
        math.exp(0.5) - rng.lognormal(size=shape),
        np.where(rng.random(shape) < 0.002, -49.9, 0.1) + 0.1 * rng.normal(size=shape),
    ]
    return [lfilter([1.0], [1.0, -0.6], noise, axis=1)[:, 100:] for noise in noises]


if __name__ == "__main__":
    main()
