"""The report of a search needs nothing but itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.searching import trial_of
from trader.core.errors import OperationError
from tune.journal import Journal, Trial
from tune.objective import Epoch
from tune.report import render_report, write_report
from tune.results import SearchResult, summarise

RECORD: dict[str, Any] = {
    "kind": "search",
    "created": "2026-01-02T03:04:05+00:00",
    "spec": {"model": "boosting", "metric": "ic", "trials": 12},
    "data_fingerprint": "abc",
    "code_version": "0.1.0",
}


@pytest.fixture(scope="module")
def result() -> SearchResult:
    rng = np.random.default_rng(4)
    trials = []
    for number in range(12):
        a = float(rng.random())
        returns = tuple((0.01 * rng.standard_normal(400)).tolist())
        scores = (a, a + 0.01) if number % 3 else (a,)
        status = "complete" if number % 3 else "stopped"
        trials.append(trial_of(number, *scores, status=status, returns=returns, a=a, kind="<x>" if a > 0.5 else "y"))
    epochs = tuple(Epoch(1, step, 5, {"train_loss": 1.0 / step, "validation_loss": 1.1 / step}) for step in range(1, 6))
    best = summarise(trials).best
    assert best is not None
    trials[best.number] = Trial(best.number, best.params, "complete", best.folds, best.scores, epochs, seconds=2.0)
    return summarise([*trials, trial_of(12, status="failed", a=0.1, kind="y", returns=())])


@pytest.fixture(scope="module")
def page(result: SearchResult) -> str:
    return render_report("s", RECORD, result)


class _Reader(HTMLParser):
    """Collects what a page refers to and the ids of its figures."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.figures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.outside.append(f"{tag} {value}")
            if tag == "figure" and name == "id":
                self.figures.append(value or "")
        if tag in ("script", "link", "iframe"):
            self.outside.append(tag)


def test_page_has_every_plot_and_no_address(page: str) -> None:
    """Seven plots, nothing fetched from anywhere, texts escaped."""
    reader = _Reader()
    reader.feed(page)
    assert reader.outside == []
    plots = ("parallel", "importance", "curves", "epochs", "progress", "budget", "luck")
    assert reader.figures == [f"plot-{name}" for name in plots]
    assert "<x>" not in page
    assert "http" not in page


def test_page_states_what_was_tried_and_what_it_cost(result: SearchResult, page: str) -> None:
    """Counts, share of the full budget and the failed trial are there to read."""
    text = re.sub(r"<[^>]+>", " ", page)
    assert "13 sets of hyperparameters were tried; every one counts." in text
    assert f"{100 * result.seconds / result.full_seconds:.1f} % of the full budget" in text
    assert "8 complete, 1 failed, 4 stopped" in text
    assert "deflated Sharpe" in text
    assert "Failed trials" in text


def test_an_empty_search_has_a_page() -> None:
    """It says that nothing was completed."""
    page = render_report("s", RECORD, summarise([]))
    assert "No trial was completed." in page
    assert "<figure" not in page


def test_a_strategy_shows_the_genes_that_speak() -> None:
    """Those of models that were not chosen are left out."""
    genes = {"model": "linear", "linear.alpha": 0.25, "boosting.l2": 7.25}
    trials = [trial_of(n, 0.1 * n, **(genes | {"linear.alpha": 0.25 + n})) for n in range(3)]
    page = render_report("e", RECORD | {"kind": "evolve", "spec": {"population": 4}}, summarise(trials))
    assert "linear.alpha" in page
    assert "boosting.l2" not in page


def test_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A folder that cannot be written is an error of the operation."""
    folder = tmp_path / "s"
    Journal(folder).create(RECORD)
    result = summarise([])  # without plots, which take long
    written = write_report(folder, result).read_text()
    assert written.startswith("<!doctype html>")
    assert written == render_report("s", RECORD, result)
    (folder / "report.partial").mkdir()
    with pytest.raises(OperationError, match=r"report\.html cannot be written"):
        write_report(folder, result)
