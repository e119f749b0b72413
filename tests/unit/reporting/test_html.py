"""The HTML report: one file, needing nothing else, saying what the summary says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from trader.data.datasets import sp500_bars
from trader.data.quality import inspect
from trader.reporting.files import write_run
from trader.reporting.panels import notice
from trader.reporting.theme import render_png, render_svg
from trader.storage import Store

_VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects what the tests ask about, and fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: Counter[str] = Counter()
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "action", "data"):
                self.references.append(value or "")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.fixture(scope="module")
def report(simulate_into: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of 120 days, read by all tests that ask for nothing special."""
    folder = tmp_path_factory.mktemp("report")
    with Store.open("sqlite://") as store:
        write_run(store, simulate_into(store, "sim").run_id, folder)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def write(store: Store, simulate: Callable[..., Any], tmp_path: Path) -> Callable[..., str]:
    def written(extras: dict[str, Any] | None = None, **options: Any) -> str:
        run = simulate(**options)
        write_run(store, run.run_id, tmp_path, extras=extras or {})
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return written


def test_nothing_outside_the_file_is_asked_for(report: str) -> None:
    """No address, script, import or outside image: the report opens without a network."""
    page = Page(report)
    assert not re.search(r"https?:|//[a-z]", re.sub(r"<style>.*?</style>", "", report, flags=re.DOTALL))
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == page.tags["iframe"] == 0
    assert all(reference.startswith("#") for reference in page.references)
    assert not re.search(r"@import|url\((?!#)", report)


def test_ids_are_unique_and_every_reference_is_met(report: str) -> None:
    """Nine pictures on one page do not share ids, and what they refer to is there."""
    page = Page(report)
    assert [i for i, n in Counter(page.ids).items() if n > 1] == []
    wanted = {r[1:] for r in page.references} | set(re.findall(r"url\(#([^)]+)\)", report))
    assert wanted
    assert wanted <= set(page.ids)


def test_every_plot_is_there(report: str) -> None:
    """A run of 120 days has all eleven plots; the equity has a second form for narrow screens."""
    names = ("equity", "drawdown", "rolling-sharpe", "exposure", "turnover", "ic", "latency", "contribution", "denials",
             "var", "risk-contributions")  # fmt: skip
    assert all(f'id="plot-{name}"' in report for name in names)
    assert Page(report).tags["svg"] == 12


def test_plots_follow_the_scheme_of_the_page(report: str) -> None:
    """Every colour in a picture is a CSS variable that both the light and the dark scheme define."""
    pictures = "".join(re.findall(r"<svg.*?</svg>", report, flags=re.DOTALL))
    assert not re.search(r"(?:fill|stroke): ?#", pictures)
    used = set(re.findall(r"var\((--plot-\w+)\)", pictures))
    assert "--plot-strategy" in used
    for name in used:
        assert report.count(f"{name}:") == 2


def test_text_in_pictures_is_text(report: str) -> None:
    """Labels are text, with units, not outlines."""
    for label in ("growth of 1", "below the peak, %", "annual Sharpe ratio", "% of equity", "rank IC", ">ms<"):
        assert label in report


def test_extras_are_shown(write: Callable[..., str]) -> None:
    """Training, data quality and left-out features appear; a name that looks like markup is shown, not run."""
    score = {
        "ic": {"mean": 0.0123, "low": 0.001, "high": 0.02, "t_stat": 2.5},
        "hit_rate": 0.512,
        "fold_ic": [0.01, None],
    }
    training = {
        "train_start_ns": 0,
        "train_end_ns": 10**18,
        "horizon": 5,
        "n_rows": 12345,
        "n_features": 7,
        "folds": [[0, 1], [2, 3]],
        "weights": {"linear@1.0.0": 1.0},
        "scores": {"linear": score},
    }
    quality = inspect(*sp500_bars()).to_dict()
    left_out = {"atr_14": "needs high, low", "amihud": "needs volume"}
    names = ("<script>alert(1)</script>", "A&B", "C", "D", "E", "F")
    extras = {"training": training, "quality": quality, "features_left_out": left_out}
    text = write(extras, n_days=8, symbols=names)
    for shown in ("12,345", "0.0123", "51.2 %", "0.010 –", "2001-09-09", "amihud", "needs high, low"):
        assert shown in re.sub(r"\s+", " ", text)
    assert f"{quality['n_bars']:,}" in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "A&amp;B" in text


def test_what_happened_is_listed(report: str) -> None:
    """Restarts, changes of the trading state, denials and cancellations are in the report."""
    text = re.sub(r"\s+", " ", report)
    assert "shard-0 was brought back after SIGKILL; went on from decision 3" in text
    assert "active → reducing by drawdown: limit" in text
    assert "· position limit</th> <td>12</td>" in text
    assert "· session end</th> <td>3</td>" in text


def test_plotting_leaves_no_global_state() -> None:
    """Drawing touches neither matplotlib's defaults nor the figures pyplot keeps."""
    from matplotlib import _pylab_helpers

    before = dict(mpl.rcParams)
    picture = render_svg("nothing", "Nothing", notice("nothing"), (3.0, 2.0))
    assert render_png(notice("nothing"), (3.0, 2.0), dpi=50).startswith(b"\x89PNG")
    assert 'id="nothing-' in picture
    assert dict(mpl.rcParams) == before
    assert _pylab_helpers.Gcf.get_all_fig_managers() == []
