"""`trader tune` with bad input: one clear line, exit code 2, nothing left behind, no cluster started."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.searching import trial_of
from tune.journal import Journal


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "boostng"), "did you mean 'boosting'"),
        (("--model", "linear", "--scheduler", "ashaa"), "did you mean 'asha'"),
        (("--model", "linear", "--searcher", "optna"), "did you mean 'optuna'"),
        (("--model", "linear", "--metric", "auc"), "allowed are ic, loss"),
        (("--model", "linear", "--trials", "0"), "trials=0 is not allowed"),
        (("--model", "linear", "--preset", "dmo"), "dmo"),
        (("--model", "linear", "--set", "alhpa=3"), "did you mean 'alpha'"),
        (("--model", "linear", "--set", "alpha"), "name=value"),
        (("--model", "linear", "--name", "../x"), "name='../x' is not allowed"),
        ((), "--model is missing"),
        (("--resume", "nope"), "search 'nope' does not exist"),
    ],
)
def test_bad_searches(trader: Callable[..., Any], tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    """The argument, its value and what is allowed."""
    outcome = trader("tune", "search", *options)
    lines = [line for line in outcome.err.splitlines() if line.startswith("error")]
    assert outcome.code == 2, outcome
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "runs" / "searches").exists()


def test_bad_evolutions(trader: Callable[..., Any]) -> None:
    """Too small a population, no generation, an unknown name."""
    for options in (("--population", "2"), ("--generations", "0"), ("--share", "1.5"), ("--resume", "nope")):
        outcome = trader("tune", "evolve", *options)
        assert outcome.code == 2, outcome
        assert options[0].strip("-") in outcome.err or "nope" in outcome.err


def _make_search(folder: Path) -> None:
    journal = Journal(folder)
    record = {"kind": "search", "created": "2026-01-01T00:00:00+00:00", "data_fingerprint": "x", "code_version": "1"}
    journal.create(record | {"spec": {"model": "linear", "metric": "ic"}})
    for trial in (trial_of(n, 0.01 * n, alpha=1.0 + n) for n in range(3)):
        journal.begin(trial.number, trial.params)
        journal.fold(trial.number, trial.folds[0], trial.score)
        journal.end(trial.number, "complete")
    journal.close()


def test_searches_are_listed_and_reported(trader: Callable[..., Any], tmp_path: Path) -> None:
    """By name, with their best score; the report is written again from the journal."""
    _make_search(tmp_path / "runs" / "searches" / "first")
    rows = json.loads(trader("tune", "list", "--json").out)
    assert [(row["name"], row["trials"], row["ended"], row["best"]) for row in rows] == [("first", 3, 3, 0.02)]
    assert "first" in trader("tune", "list").out
    found = json.loads(trader("tune", "report", "first", "--json").out)
    assert found["best"]["params"] == {"alpha": 3.0}
    assert (tmp_path / "runs" / "searches" / "first" / "report.html").exists()
    assert "did you mean 'first'" in trader("tune", "report", "frist").err


def test_every_command_has_an_example(trader: Callable[..., Any]) -> None:
    """`--help` of every command shows one."""
    for name in ("search", "evolve", "report", "list"):
        outcome = trader("tune", name, "--help")
        assert outcome.code == 0
        assert f"trader tune {name}" in outcome.out.replace("\n", " "), name
