"""Evolution on a real cluster: every backtest counted, none repeated, the best ready to run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trader.settings import Settings, load_settings
from tune.evolve import EvolveSpec
from tune.journal import Trial, read_trials
from tune.session import Hooks, evolve, resume
from tune.strategy import settings_of

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Six stocks from 1990 to 2002."""
    return load_settings(
        overrides={
            "feed": {"symbols": ("AAPL", "AMD", "BAC", "BBY", "CVX", "GE"), "start": "2003-01-02"},
            "models": {"train_end": "2002-12-31", "preset": "ci"},
            "run": {"runs_dir": tmp_path},
        }
    )


def test_evolution_finds_counts_and_resumes(settings: Settings, tmp_path: Path) -> None:
    """The best is the fittest of all that were tried; cut short, it takes the same course and repeats nothing."""
    told: list[Trial] = []
    spec = EvolveSpec(name="e", population=6, generations=2, share=0.8)
    outcome = evolve(settings, spec, hooks=Hooks(on_trial=told.append))
    result = outcome.result
    assert len(told) == len(result.trials) == result.n_tried == spec.trials == 10
    assert result.best is not None
    assert result.best.score == max(trial.score for trial in told if trial.status == "complete")
    assert 0.0 <= result.pbo <= 1.0

    assert outcome.config is not None
    loaded = load_settings(config=outcome.config)
    own = settings_of(result.best.params, settings)
    for section in ("feed", "features", "models", "execution", "risk"):
        assert getattr(loaded, section) == getattr(own, section), section
    assert loaded.sizing.max_weight == own.sizing.max_weight
    assert loaded.run.trials == 10

    journal = outcome.folder / "trials.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:15]))
    kept = {trial.number for trial in read_trials(outcome.folder) if trial.status != "running"}
    assert 0 < len(kept) < 10
    again: list[Trial] = []
    resumed = resume(settings, "e", hooks=Hooks(on_trial=again.append))
    assert {trial.number for trial in again} == set(range(10)) - kept
    assert _course(resumed.result.trials) == _course(result.trials)


def _course(trials: tuple[Trial, ...]) -> str:
    return json.dumps([(trial.number, trial.status, dict(trial.params), trial.returns) for trial in trials])
