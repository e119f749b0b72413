"""The journal gives back what was written, whatever cut it short."""

from __future__ import annotations

from pathlib import Path

import pytest

from trader.core.errors import DataError, NotFoundError, UserError
from tune.journal import Journal, find_search, list_searches, read_spec, read_trials, search_dir
from tune.objective import Epoch, FoldScore

FOLDS = (FoldScore(0, 0.1, 0.9, 1.5, (0.01, -0.02)), FoldScore(1, float("nan"), 0.8, 2.0, (0.03,)))


def _write(folder: Path) -> Journal:
    journal = Journal(folder)
    journal.create({"model": "linear"})
    journal.begin(0, {"alpha": 0.1, "clip": 3})
    journal.epoch(0, Epoch(0, 1, 2, {"train_loss": 0.5}))
    journal.fold(0, FOLDS[0], 0.1)
    journal.begin(1, {"alpha": 1e-7})
    journal.end(1, "failed", "ModelError: nothing")
    journal.fold(0, FOLDS[1], 0.05)
    journal.end(0, "complete")
    return journal


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Reading the file gives the trials that the journal itself knows, to the last bit."""
    journal = _write(tmp_path / "s")
    journal.close()
    first, second = read_trials(tmp_path / "s")
    assert repr([first, second]) == repr([journal.trials[0], journal.trials[1]])  # repr: NaN is not itself
    assert first.params == {"alpha": 0.1, "clip": 3}
    assert repr(first.folds) == repr(FOLDS)
    assert (first.status, first.score, first.seconds) == ("complete", 0.05, 3.5)
    assert first.returns == (0.01, -0.02, 0.03)
    assert (second.status, second.error) == ("failed", "ModelError: nothing")
    assert second.score != second.score
    assert read_spec(tmp_path / "s") == {"model": "linear"}


def test_every_cut_leaves_a_readable_journal(tmp_path: Path) -> None:
    """A file that a kill cut short at any byte is read up to its last whole line, and can be gone on with."""
    _write(tmp_path / "s").close()
    path = tmp_path / "s" / "trials.jsonl"
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        before = read_trials(tmp_path / "s")
        journal = Journal(tmp_path / "s")
        journal.begin(9, {"alpha": 2.0})
        journal.close()
        after = read_trials(tmp_path / "s")
        assert len(after) == len(before) + 1
        assert after[-1].params == {"alpha": 2.0}


def test_a_fold_told_twice_counts_once(tmp_path: Path) -> None:
    """A trial whose process was started again tells of its first fold anew; its time was spent twice."""
    journal = _write(tmp_path / "s")
    journal.begin(2, {"alpha": 1.0})
    for fold in (FOLDS[0], FOLDS[1], FOLDS[0]):
        journal.fold(2, fold, 0.3)
    trial = journal.trials[2]
    assert [fold.fold for fold in trial.folds] == [0]
    assert trial.seconds == 5.0
    assert trial.changes == 0


def test_changed_params_count(tmp_path: Path) -> None:
    """A trial that goes on with other hyperparameters takes over folds without their cost, and counts the change."""
    journal = _write(tmp_path / "s")
    journal.begin(1, {"alpha": 5.0})
    journal.inherit(1, FOLDS[:1], [0.1])
    journal.end(1, "complete")
    trial = journal.trials[1]
    assert (trial.changes, trial.params, trial.scores, trial.seconds) == (1, {"alpha": 5.0}, (0.1,), 0.0)


def test_damage_in_the_middle_is_an_error(tmp_path: Path) -> None:
    """Only a last line may be cut short."""
    _write(tmp_path / "s").close()
    path = tmp_path / "s" / "trials.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0][:-5], *lines[1:]]) + "\n")
    with pytest.raises(DataError, match=r"trials\.jsonl cannot be read"):
        read_trials(tmp_path / "s")


def test_names_are_found_or_suggested(tmp_path: Path) -> None:
    """An unknown search is named together with the closest."""
    with pytest.raises(NotFoundError, match="known are none"):
        find_search(tmp_path, "first")
    for name in ("first", "second"):
        Journal(search_dir(tmp_path, name)).create({})
    assert list_searches(tmp_path) == ["first", "second"]
    assert find_search(tmp_path, "first").name == "first"
    with pytest.raises(NotFoundError, match="did you mean 'second'"):
        find_search(tmp_path, "secnd")
    with pytest.raises(UserError, match="'first' exists"):
        Journal(search_dir(tmp_path, "first")).create({})
    for name in ("../up", "", "a b", "x" * 65):
        with pytest.raises(UserError, match="is not allowed"):
            search_dir(tmp_path, name)


def test_a_spec_that_is_none_is_an_error(tmp_path: Path) -> None:
    """Broken JSON and other types are refused."""
    for text in ("{", "[]"):
        (tmp_path / "search.json").write_text(text)
        with pytest.raises(DataError, match=r"search\.json"):
            read_spec(tmp_path)
