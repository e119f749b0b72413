"""`trader data vpin`: trades in, buckets of volume out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    """Two hours of trades: balanced in the first, bought alone and rising in the second."""
    rows = ["ts,symbol,price,size,side"]
    for i in range(7200):
        bought = i % 2 == 0 or i >= 3600
        price = 100 + (0.01 if bought else 0) + 0.001 * max(i - 3600, 0)
        stamp = f"2024-01-02T{15 + i // 3600}:{i // 60 % 60:02d}:{i % 60:02d}Z"
        rows.append(f"{stamp},ACME,{price:.3f},10,{'buy' if bought else 'sell'}")
    path = tmp_path / "trades.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("by", ["side", "normal"])
def test_one_sided_flow_shows(trader: Callable[..., Any], tmp_path: Path, trades: Path, by: str) -> None:
    """Sixty buckets of two minutes' volume; VPIN goes from nothing to nearly one where sides are known."""
    done = trader(
        "data", "vpin", str(trades), "--kind", "trades", "--bars", "time:10", "--bucket", "1200", "--window", "10",
        "--by", by, "--out", "vpin.parquet",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = pd.read_parquet(tmp_path / "vpin.parquet")
    assert list(found) == ["symbol", "ts_ns", "imbalance", "vpin"]
    assert "60 buckets of 1 symbols in vpin.parquet; 0 bars skipped" in done.err
    first, last = found["vpin"][25], found["vpin"][59]
    assert last > first + 0.3
    if by == "side":
        assert (round(first, 6), round(last, 6)) == (0.0, 1.0)


def test_what_is_not_allowed(trader: Callable[..., Any], trades: Path) -> None:
    """One line that names the argument."""
    common = ("data", "vpin", str(trades), "--kind", "trades", "--out", "o.parquet")
    assert "classifier='x'; allowed are normal, t, side" in trader(*common, "--bucket", "100", "--by", "x").err
    assert "bucket=[-1.0]; finite volumes above 0" in trader(*common, "--bucket", "-1").err
