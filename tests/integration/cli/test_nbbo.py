"""`trader data nbbo`: venues' quotes in, quotes that a run replays out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trader.core.market import QuoteBatch
from trader.data.feeds import open_feed
from trader.settings import FeedSettings


def write_quotes(path: Path, *, fixed_venues: bool) -> None:
    """Two venues that quote in turn; where venues are not fixed, each row is the national best of the moment."""
    rows = ["ts,symbol,exch,bid,bid_size,ask,ask_size"]
    for i in range(400):
        bid = 10 + 0.01 * (i % 2 if fixed_venues else 10 * (i % 2) + i % 7)
        stamp = f"2024-01-02T15:{i // 60:02d}:{i % 60:02d}Z"
        rows.append(f"{stamp},ACME,{'NQ'[i % 2]},{bid:.2f},{100 + i},0,0")
        rows.append(f"{stamp},ACME,{'NQ'[i % 2]},0,0,{bid + 0.03:.2f},100")
    path.write_text("\n".join(rows), encoding="utf-8")


def test_a_run_replays_the_national_best(trader: Callable[..., Any], tmp_path: Path) -> None:
    """The file is quotes to the reader, with nothing to name or to map; bars come of it."""
    write_quotes(tmp_path / "quotes.csv", fixed_venues=True)
    done = trader("data", "nbbo", "quotes.csv", "--out", "nbbo.parquet", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["venues"], told["quotes"], told["crossed"]) == (["N", "Q"], 800, 0)
    feed = open_feed(FeedSettings(kind="file", path=tmp_path / "nbbo.parquet"), seed=0)
    data = [batch.data for batch in feed.batches()]
    assert all(isinstance(part, QuoteBatch) for part in data)
    assert feed.info.universe.symbols == ("ACME",)
    assert feed.rejected() == {"price_not_finite": told["one_sided"]}
    assert sum(len(part) for part in data) == told["changes"] - told["one_sided"]
    np.testing.assert_array_equal(data[-1].bid[-50:], 10.01)

    bars = trader("data", "bars", "nbbo.parquet", "--bars", "time:60", "--out", "bars.parquet")
    assert (bars.code, "7 bars of 1 symbols" in bars.err) == (0, True), bars.err


def test_rows_that_are_the_national_best_already(trader: Callable[..., Any], tmp_path: Path) -> None:
    """Taken for venues' quotes they cross, and the command says what to try; then they do not."""
    write_quotes(tmp_path / "quotes.csv", fixed_venues=False)
    wrong = trader("data", "nbbo", "quotes.csv", "--out", "nbbo.parquet")
    assert "--rows best is right" in wrong.err.replace("\n", " ")
    right = trader("data", "nbbo", "quotes.csv", "--rows", "best", "--out", "nbbo.parquet")
    assert (right.code, "--rows" in right.err) == (0, False)


def test_what_is_not_allowed(trader: Callable[..., Any], tmp_path: Path) -> None:
    """One line that names the option or the file."""
    write_quotes(tmp_path / "quotes.csv", fixed_venues=True)
    assert "allowed are venue and best" in trader("data", "nbbo", "quotes.csv", "--rows", "x", "--out", "o").err
    assert "nothere.csv does not exist" in trader("data", "nbbo", "nothere.csv", "--out", "o").err
    assert "'XXX' is not in" in trader("data", "nbbo", "quotes.csv", "--symbols", "XXX", "--out", "o").err
