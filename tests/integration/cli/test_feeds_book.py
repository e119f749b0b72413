"""`trader feeds book`, and books in `trader feeds record`, from outside."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.books import N_LEVELS, make_diffs, write_book_capture
from tests.support.live import serving
from trader.cli.feeds import check, record
from trader.cli.feeds_book import book
from trader.core.errors import SettingsError
from trader.data.live.reference.server import ReplayServer

DIFFS = make_diffs(120, seed=4)
FAST = ["feed.live.backoff_first_s=0.02"]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What the feed loads while it runs is there from the beginning, so that times are short."""
    for name in ("httpx", "scipy.stats"):
        importlib.import_module(name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReplayServer]:
    with serving(write_book_capture(tmp_path / "capture", DIFFS), stamps="recorded") as made:
        yield made


def test_book_shows_the_last_state(server: ReplayServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Its levels, what they say, and how the book fares."""
    book("binance", market="usdm", levels=N_LEVELS, url=server.url, seconds=4.0, assignments=FAST, as_json=True)
    found = json.loads(capsys.readouterr().out)["symbols"]["BTCUSDT"]
    bids, asks = DIFFS[-1].truth
    assert found["in_step"]
    assert found["bids"] == bids[bids[:, 0] == bids[:, 0]].tolist()
    assert found["asks"] == asks[asks[:, 0] == asks[:, 0]].tolist()
    assert found["features"]["mid"] == pytest.approx((bids[0, 0] + asks[0, 0]) / 2)
    assert (found["gaps"], found["snapshots"]) == (0, 1)
    assert found["last_update"] == DIFFS[-1].snapshot["lastUpdateId"]


def test_book_draws_a_ladder(server: ReplayServer, capsys: pytest.CaptureFixture[str]) -> None:
    """For people."""
    book("binance", market="usdm", levels=2, url=server.url, seconds=4.0, assignments=FAST)
    shown = capsys.readouterr().out
    assert "updates/s, 0 gaps" in shown
    assert f"{DIFFS[-1].truth[0, 0, 0]:.10g}" in shown
    assert "microprice" in shown


def test_books_are_recorded(server: ReplayServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for every diff since the snapshot, best levels first."""
    out = tmp_path / "out"
    record(
        "binance",
        out,
        kind="book",
        market="usdm",
        levels=N_LEVELS,
        url=server.url,
        seconds=4.0,
        assignments=FAST,
        as_json=True,
    )
    found = json.loads(capsys.readouterr().out)
    rows = pq.read_table(out / "depth")
    assert rows.num_rows == found["rows"] > 20
    assert (found["files"], found["dropped_rows"], found["troubles"]) == (1, 0, {})
    expected = DIFFS[-rows.num_rows :]
    for side, name in enumerate(("bid", "ask")):
        for level in range(N_LEVELS):
            truth = [diff.truth[side, level] for diff in expected]
            assert rows[f"{name}_{level}"].to_pylist() == pytest.approx([each[0] for each in truth], nan_ok=True)
            assert rows[f"{name}_size_{level}"].to_pylist() == pytest.approx([each[1] for each in truth], nan_ok=True)


def test_what_cannot_be_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other vendors have no book, and sinks take none."""
    monkeypatch.setenv("MASSIVE_API_KEY", "x")
    with pytest.raises(SettingsError, match="massive has no order book, binance has"):
        check("massive", symbols="AAPL", kind="book")
    with pytest.raises(SettingsError, match="--kind book is written as Parquet to --out FOLDER"):
        record("binance", tmp_path, ["redis://localhost/ticks"], kind="book")
