"""Suggestions depend on space, seed and what has ended; never on timing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.searching import trial_of
from trader.core.errors import SettingsError
from tune.journal import Trial
from tune.space import Choice, Float, Int, Space
from tune.suggest import OptunaSearcher, RandomSearcher, create_searcher

SPACE = Space({"a": Float(0.0, 1.0), "n": Int(1, 10), "c": Choice(("x", "y"))}, {"z": 1})


def _run(searcher: OptunaSearcher | RandomSearcher, n: int, early: int = 0) -> list[dict[str, object]]:
    """Let trials end in order, or up to `early` of them before they are needed."""
    order = np.random.default_rng(early)
    ended: dict[int, Trial] = {}
    drawn: list[dict[str, object]] = []
    for number in range(n):
        for known in range(number):
            if known < searcher.needs(number) or (known >= number - early and order.random() < 0.5):
                params = drawn[known]
                ended[known] = trial_of(known, -((params["a"] - 0.7) ** 2), **params)  # type: ignore[operator]
        drawn.append(searcher.suggest(number, ended))
    return drawn


def test_random_trials_do_not_know_of_each_other() -> None:
    """Each trial has a seed of its own: asking for one alone gives what asking for all gives."""
    searcher = RandomSearcher(SPACE, seed=5)
    drawn = _run(searcher, 20)
    assert RandomSearcher(SPACE, seed=5).suggest(13, {}) == drawn[13]
    assert drawn != _run(RandomSearcher(SPACE, seed=6), 20)
    assert all(params["z"] == 1 for params in drawn)


@pytest.mark.parametrize("lag", [1, 3])
def test_optuna_repeats_whatever_ends_early(lag: int) -> None:
    """Trials that end before they may count change nothing."""
    alone = _run(OptunaSearcher(SPACE, seed=5, lag=lag), 25)
    assert alone == _run(OptunaSearcher(SPACE, seed=5, lag=lag), 25, early=lag - 1)


def test_optuna_goes_on_as_if_never_interrupted() -> None:
    """A searcher made anew suggests for the next trial what the old one would have."""
    drawn = _run(OptunaSearcher(SPACE, seed=5), 25)
    ended = {
        number: trial_of(number, -((params["a"] - 0.7) ** 2), **params)  # type: ignore[operator]
        for number, params in enumerate(drawn[:24])
    }
    assert OptunaSearcher(SPACE, seed=5).suggest(24, ended) == drawn[24]


def test_optuna_learns() -> None:
    """After its random beginning the suggestions gather where scores are high."""
    late = [params["a"] for params in _run(OptunaSearcher(SPACE, seed=5), 60)[30:]]
    assert abs(float(np.median(late)) - 0.7) < 0.1


def test_failed_and_stopped_trials_do_not_break_it() -> None:
    """A trial without a score counts for nothing, a stopped one as pruned."""
    searcher = OptunaSearcher(SPACE, seed=5)
    first = searcher.suggest(0, {})
    ended = {0: trial_of(0, status="failed", **first)}
    second = searcher.suggest(1, ended)
    ended[1] = trial_of(1, 0.1, status="stopped", **second)
    assert set(searcher.suggest(2, ended)) == {"a", "n", "c", "z"}


def test_unknown_searcher_is_named() -> None:
    """With the closest that is known."""
    with pytest.raises(
        SettingsError, match="searcher='optun' is unknown; allowed are optuna, random; did you mean 'optuna'"
    ):
        create_searcher("optun", SPACE, 1, 1)
