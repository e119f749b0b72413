"""The account of a search counts every trial."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.searching import trial_of
from trader.validation.sharpe import deflated_sharpe, sharpe_ratio
from tune.importance import axis_values, importances
from tune.journal import Trial
from tune.results import best_trial, summarise, write_trials


def _search(n: int = 12, n_periods: int = 400) -> list[Trial]:
    """Trials whose score, and Sharpe ratio, rise with `a` and do not care about `b`."""
    rng = np.random.default_rng(4)
    trials = []
    for number in range(n):
        a, b = rng.random(2)
        returns = tuple((0.01 * rng.standard_normal(n_periods) + 0.002 * a).tolist())
        trials.append(trial_of(number, a, returns=returns, a=float(a), b=float(b), kind="x" if b > 0.5 else "y"))
    return trials


def test_best_is_the_best_complete_trial() -> None:
    """Stopped and failed ones do not count, and of equals the earlier is taken."""
    trials = [
        trial_of(0, 0.1),
        trial_of(1, 0.9, status="stopped"),
        trial_of(2, status="failed"),
        trial_of(3, 0.3),
        trial_of(4, 0.3),
        trial_of(5, math.nan),
    ]
    best = best_trial(trials)
    assert best is not None
    assert best.number == 3
    assert best_trial(trials[1:3]) is None


def test_sharpe_is_deflated_by_all_that_was_tried() -> None:
    """Number and variance of the trials are the real ones; failed trials and changed hyperparameters count."""
    trials = [*_search(), trial_of(12, status="failed", returns=()), Trial(13, {}, "running", changes=3)]
    result = summarise(trials)
    assert result.best is not None
    assert result.n_tried == 17
    variance = np.var([sharpe_ratio(np.array(trial.returns)) for trial in trials[:12]], ddof=1)
    expected = deflated_sharpe(np.array(result.best.returns), 17, trials_variance=float(variance))
    assert result.deflated_sharpe == pytest.approx(expected)
    assert result.counts == {"complete": 12, "failed": 1, "running": 1}
    json.dumps(result.to_dict())


def test_luck_is_told_from_skill() -> None:
    """A trial that is better all the time is not overfitted; trials that are noise are."""
    noise = _search()
    rng = np.random.default_rng(0)
    worthless = [trial_of(n, 0.1, returns=tuple(rng.standard_normal(400).tolist())) for n in range(30)]
    skilled = trial_of(30, 0.9, returns=tuple((0.4 + rng.standard_normal(400)).tolist()))
    assert summarise([*worthless, skilled]).pbo < 0.05
    assert summarise(worthless).pbo > 0.3
    assert math.isnan(summarise(noise[:1]).pbo)


def test_budget_is_measured_against_completing_all() -> None:
    """Ten trials of which eight stop after one of five folds take 18 of 50 units."""
    trials = [trial_of(n, *[0.1] * (5 if n < 2 else 1), status="complete" if n < 2 else "stopped") for n in range(10)]
    result = summarise(trials)
    assert (result.seconds, result.full_seconds) == (18.0, 50.0)


def test_an_empty_search_has_an_account() -> None:
    """Nothing is defined, and nothing breaks."""
    result = summarise([])
    assert result.best is None
    assert result.n_tried == 0
    assert math.isnan(result.deflated_sharpe)


def test_parquet_has_a_row_a_trial(tmp_path: Path) -> None:
    """Hyperparameters are columns, texts stay texts, and a missing one is null."""
    trials = [*_search(3), trial_of(3, status="failed", a=1.0, families=("p", "q"))]
    write_trials(trials, tmp_path / "trials.parquet")
    rows = pq.read_table(tmp_path / "trials.parquet").to_pylist()
    assert [row["trial"] for row in rows] == [0, 1, 2, 3]
    assert rows[0]["param.a"] == trials[0].params["a"]
    assert rows[3]["param.b"] is None
    assert rows[3]["param.families"] == "('p', 'q')"
    assert rows[0]["returns"] == list(trials[0].returns)


def test_importance_finds_what_matters() -> None:
    """The hyperparameter that makes the score has nearly all of the importance; shares add up to 1."""
    shares = importances(_search(40))
    assert next(iter(shares)) == "a"
    assert shares["a"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)
    assert importances(_search(7)) == {}
    assert importances([trial_of(n, 0.5, a=n) for n in range(20)]) == {}


def test_silent_genes_are_left_out() -> None:
    """A gene of a model that some strategies lack is no axis; a subset counts by its size."""
    genes = {"linear.alpha": 0.1, "boosting.l2": 1.0, "sizing.tilt": 0.0}
    trials = [
        trial_of(0, 0.1, model="linear", families=("a",), **genes),
        trial_of(1, 0.2, model="boosting", families=("a", "b"), **(genes | {"linear.alpha": 0.2, "sizing.tilt": 0.5})),
    ]
    assert axis_values(trials) == {"model": ["linear", "boosting"], "families": [1, 2], "sizing.tilt": [0.0, 0.5]}
