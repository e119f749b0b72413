"""Searches on a real cluster: repeatable, halving, populations, failures counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.searching import folds_of, planted_set
from trader.core.errors import UserError
from trader.models.dataset import TrainingSet
from tune.cluster import room_for
from tune.journal import Journal, Trial, read_trials
from tune.results import summarise
from tune.search import run_search
from tune.spec import SearchSpec

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    return planted_set()


@pytest.fixture
def search(tmp_path: Path, data: TrainingSet) -> Callable[..., list[Trial]]:
    """Run a search in a folder of its own, or go on with the one of that name."""

    def run(name: str = "s", concurrent: int = 1, model: str = "linear", n_splits: int = 3, **spec: Any) -> list[Trial]:
        asked = SearchSpec(name=name, model=model, preset="ci", **{"trials": 6, "scheduler": "none"} | spec)
        folder = tmp_path / name
        if not folder.exists():
            Journal(folder).create(asked.to_dict())
        return run_search(asked, data, folds_of(data, n_splits), folder, concurrent=concurrent, cost_bps=1.0)

    return run


def _course(trials: list[Trial]) -> str:
    """What a search did, without the time it took."""
    return json.dumps([(t.number, t.status, dict(t.params), t.scores, t.returns) for t in trials])


def test_a_search_repeats(search: Callable[..., list[Trial]], tmp_path: Path) -> None:
    """Equal seeds give equal trials and scores, whatever their processes' timing, and the journal holds them all."""
    options = {"searcher": "optuna", "trials": 12, "concurrent": 2}  # Optuna's first ten are random
    trials = search("one", **options)
    assert {trial.status for trial in trials} == {"complete"}
    assert all(len(trial.scores) == 3 for trial in trials)
    assert _course(trials) == _course(search("two", **options))
    assert _course(read_trials(tmp_path / "one")) == _course(trials)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["search.json", "trials.jsonl"]


def test_halving_gives_up_early_and_keeps_the_good(search: Callable[..., list[Trial]]) -> None:
    """Trials stop after one fold of five or three; what is completed has one of the three best of the full search."""
    options = {"model": "boosting", "searcher": "random", "trials": 12, "n_splits": 5, "metric": "loss"}
    halved = summarise(search("asha", scheduler="asha", **options))
    full = summarise(search("full", scheduler="none", **options))
    assert halved.counts["stopped"] >= 5
    assert halved.best is not None
    assert halved.best.score in sorted(trial.score for trial in full.trials)[-3:]
    assert sum(len(trial.folds) for trial in halved.trials) < 0.7 * sum(len(trial.folds) for trial in full.trials)
    assert halved.n_tried == 12


def test_a_population_goes_on_from_its_best(search: Callable[..., list[Trial]]) -> None:
    """The worse take over folds of the better and change hyperparameters; each change counts as tried."""
    options = {"model": "boosting", "scheduler": "pbt", "trials": 6, "n_splits": 5, "metric": "loss", "concurrent": 2}
    # Only trials that run at the same time are compared, so once in a while none finds a better one.
    for attempt in range(5):
        trials = search(f"pbt-{attempt}", **options)
        result = summarise(trials)
        assert result.counts == {"complete": 6}
        assert all(len(trial.scores) == 5 for trial in trials)
        if changes := sum(trial.changes for trial in trials):
            break
    assert changes > 0
    assert result.n_tried == 6 + changes
    shared = {trial.folds[0].returns for trial in trials}
    assert len(shared) < 6


def test_failed_trials_are_counted_not_fatal(search: Callable[..., list[Trial]]) -> None:
    """A model that cannot be fitted fails its trial with its reason; the search goes on to its end."""
    trials = search(model="momentum", searcher="optuna")
    assert {trial.status for trial in trials} == {"failed"}
    assert all(trial.error.startswith("ModelError: no feature that varies matches") for trial in trials)
    result = summarise(trials)
    assert result.best is None
    assert result.n_tried == 6


def test_an_interrupted_search_goes_on_where_it_was(search: Callable[..., list[Trial]], tmp_path: Path) -> None:
    """With the journal cut in the middle the rest is done again, and the whole is that of an undisturbed search."""
    whole = search("whole", searcher="optuna", trials=12)
    lines = (tmp_path / "whole" / "trials.jsonl").read_text().splitlines(keepends=True)
    half = tmp_path / "half"
    half.mkdir()
    (half / "search.json").write_text((tmp_path / "whole" / "search.json").read_text())
    (half / "trials.jsonl").write_text("".join(lines[: len(lines) // 2]) + lines[len(lines) // 2][:10])
    kept = [trial for trial in read_trials(half) if trial.status == "complete"]
    assert 2 < len(kept) < 12
    resumed = search("half", searcher="optuna", trials=12)
    assert _course(resumed) == _course(whole)
    # Folds that were known are not fitted again, so their time was spent once.
    assert {t.number: t.seconds for t in kept}.items() <= {t.number: t.seconds for t in resumed}.items()


def test_trials_are_sized_to_the_cluster() -> None:
    """Four CPUs hold four trials of one, eight of a half; a GPU that is not there is refused at once."""
    for cpus, fits in ((1.0, 4), (0.5, 8), (3.0, 1)):
        spec = SearchSpec(name="s", model="linear", trials=20, cpus_per_trial=cpus)
        assert room_for(spec).concurrent == fits
    assert room_for(SearchSpec(name="s", model="linear", trials=3)).concurrent == 3
    assert room_for(SearchSpec(name="s", model="linear", concurrent=2)).concurrent == 2
    with pytest.raises(UserError, match=r"gpus_per_trial=0.25 is more than the cluster has: 0"):
        room_for(SearchSpec(name="s", model="linear", gpus_per_trial=0.25))
    with pytest.raises(UserError, match="cpus_per_trial=5 is more than the cluster has: 4"):
        room_for(SearchSpec(name="s", model="linear", cpus_per_trial=5))
