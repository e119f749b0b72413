"""`trader data tape`: trades with sale conditions in, bars that a run trades out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trader.core.market import BarBatch
from trader.data.readers import read_market_file


def test_bars_that_a_run_reads(trader: Callable[..., Any], tmp_path: Path) -> None:
    """A late trade counts for the range, an average price for volume, and the file is read as bars again."""
    rows = ["ts,symbol,price,size,conditions"]
    for i in range(10):
        minute = f"2024-01-02T15:{i:02d}"
        rows += [f"{minute}:01Z,ACME,10,100,@", f"{minute}:02Z,ACME,11,100,@Z", f"{minute}:03Z,ACME,30,100,@B"]
    (tmp_path / "trades.csv").write_text("\n".join(rows), encoding="utf-8")
    done = trader("data", "tape", "trades.csv", "--rule", "consolidated", "--codes", "cta", "--out", "bars.parquet")
    assert done.code == 0, done.err
    assert "10 bars of 1 symbols in bars.parquet, from 30 trades; 20 no last; 10 no high low" in done.err
    data, universe, rejected = read_market_file(tmp_path / "bars.parquet")
    assert isinstance(data, BarBatch)
    assert (universe.symbols, rejected) == (("ACME",), {})
    assert (set(data.high), set(data.close), set(data.vwap), set(data.volume)) == ({11.0}, {10.0}, {10.5}, {300.0})


def test_what_is_not_allowed(trader: Callable[..., Any], tmp_path: Path) -> None:
    """One line that names what is."""
    (tmp_path / "trades.csv").write_text("ts,price,cond\n2024-01-02T15:00:01Z,10,@J\n", encoding="utf-8")
    (tmp_path / "flags.csv").write_text("ts,price,cond\n2024-01-02T15:00:01Z,10,20\n", encoding="utf-8")
    common = ("--out", "bars.parquet")
    wrong = trader("data", "tape", "flags.csv", *common, "--rule", "x", "--codes", "flags")
    assert "allowed are all, consolidated, ordinary" in wrong.err
    assert "'J' is no cta code" in trader("data", "tape", "trades.csv", *common, "--rule", "all", "--codes", "cta").err
