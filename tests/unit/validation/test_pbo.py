"""The probability of overfitting against a plain loop over splits, noise, a dominant trial and a trap."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from scipy.stats import linregress, rankdata

from trader.core.errors import DataError
from trader.validation.pbo import backtest_overfitting


@pytest.mark.parametrize("statistic", ["sharpe", "mean"])
@pytest.mark.parametrize("n_blocks", [2, 8])
def test_it_is_the_loop_of_the_paper(statistic: str, n_blocks: int) -> None:
    """Every split one by one: logits, both sides of the best trial, the regression and the losses."""
    rng = np.random.default_rng(3)
    returns = 5.0 + rng.standard_t(4, size=(163, 7)) if statistic == "mean" else rng.standard_t(4, size=(163, 7))
    blocks = np.array_split(returns[163 % n_blocks :], n_blocks)

    def judge(sample: np.ndarray) -> np.ndarray:
        mean = sample.mean(axis=0)
        return mean if statistic == "mean" else mean / sample.std(axis=0, ddof=1)

    logits, inside, outside = [], [], []
    for chosen in itertools.combinations(range(n_blocks), n_blocks // 2):
        first = judge(np.concatenate([blocks[b] for b in chosen]))
        second = judge(np.concatenate([blocks[b] for b in range(n_blocks) if b not in chosen]))
        best = int(first.argmax())
        omega = rankdata(second)[best] / 8
        logits.append(math.log(omega / (1 - omega)))
        inside.append(first[best])
        outside.append(second[best])
    found = backtest_overfitting(returns, n_blocks=n_blocks, statistic=statistic)  # type: ignore[arg-type]
    assert found.logits == pytest.approx(logits)
    assert found.in_sample == pytest.approx(inside)
    assert found.out_of_sample == pytest.approx(outside)
    assert found.probability == np.mean(np.array(logits) <= 0)
    assert found.probability_of_loss == np.mean(np.array(outside) < 0)
    line = linregress(inside, outside)
    assert found.slope == pytest.approx(line.slope)
    assert found.intercept == pytest.approx(line.intercept)
    assert found.r_squared == pytest.approx(line.rvalue**2)


def test_the_best_of_noise_is_above_the_median_half_of_the_time() -> None:
    """Over 60 sets of worthless trials the probability is a half, and the best loses half of the time."""
    rng = np.random.default_rng(0)
    reports = [backtest_overfitting(rng.normal(size=(320, 40)), n_blocks=10) for _ in range(60)]
    assert np.mean([report.probability for report in reports]) == pytest.approx(0.5, abs=0.06)
    assert np.mean([report.probability_of_loss for report in reports]) == pytest.approx(0.5, abs=0.06)


def test_a_dominant_trial_is_no_overfitting() -> None:
    """One trial that is truly better stays the best: probability 0, no loss."""
    returns = np.random.default_rng(1).normal(size=(800, 40))
    returns[:, 11] += 0.35
    report = backtest_overfitting(returns)
    assert report.probability == 0.0
    assert report.probability_of_loss == 0.0
    assert report.logits.size == 12_870


def test_trials_that_fit_one_half_overfit() -> None:
    """Trials that earn in some blocks what they lose in the others: the best in sample is worst out of it."""
    rng = np.random.default_rng(2)
    signs = rng.choice([-1.0, 1.0], (10, 60))
    signs -= signs.mean(axis=0)  # each earns nothing over all blocks
    report = backtest_overfitting(np.repeat(signs, 20, axis=0) + rng.normal(size=(200, 60)), n_blocks=10)
    assert report.probability > 0.95
    assert report.probability_of_loss > 0.95
    assert report.slope < -0.5


def test_equal_trials_are_ties_at_the_median() -> None:
    """Copies of one trial rank in the middle, which is not above the median."""
    returns = np.repeat(np.random.default_rng(4).normal(size=(64, 1)), 5, axis=1)
    report = backtest_overfitting(returns, n_blocks=4)
    assert report.logits == pytest.approx(np.zeros(6))


def test_still_trials_have_a_sharpe_ratio_of_zero() -> None:
    """A trial that never traded is neither best nor an error."""
    returns = np.random.default_rng(5).normal(size=(160, 3)) + 0.5
    returns[:, 0] = 0.0
    returns[:, 1] = 0.1
    report = backtest_overfitting(returns, n_blocks=8)
    assert report.probability == 0.0
    assert np.isfinite(report.in_sample).all()


def test_report_is_ready_for_json() -> None:
    """Plain values; distributions by three quantiles."""
    content = backtest_overfitting(np.random.default_rng(6).normal(size=(64, 4)), n_blocks=4).to_dict()
    assert json.loads(json.dumps(content)) == content
    assert content["n_trials"] == 4
    assert len(content["logits"]) == 3


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((64, 4), {"n_blocks": 5}, "n_blocks=5"),
        ((64, 4), {"n_blocks": 22}, "n_blocks=22"),
        ((64, 4), {"statistic": "median"}, "statistic='median'"),
        ((64, 1), {}, r"shape \(64, 1\)"),
        ((30, 4), {}, "30 periods are too few for n_blocks=16"),
    ],
)
def test_bad_arguments_are_named(shape: tuple[int, int], arguments: dict[str, object], message: str) -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=message):
        backtest_overfitting(np.ones(shape), **arguments)  # type: ignore[arg-type]


def test_unknown_returns_are_refused() -> None:
    """Trials are compared on the same periods."""
    returns = np.ones((64, 4))
    returns[3, 2] = np.nan
    with pytest.raises(DataError, match="not finite"):
        backtest_overfitting(returns)
