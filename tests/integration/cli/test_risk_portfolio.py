"""`trader risk greeks`, `exposure`, `show` and `report` as a user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.deciding import Trading
from trader.storage import Store

Trader = Callable[..., Any]
OPTIONS = """underlying,kind,strike,years,quantity,spot,volatility,style
A,call,100,0.5,10,100,0.2,
B,put,50,1,-5,55,0.4,
"""


@pytest.fixture
def run(tmp_path: Path) -> Trading:
    """A run of the default store of `tmp_path`, where commands are run."""
    (tmp_path / "runs").mkdir()
    with Store.open(f"sqlite:///{tmp_path}/runs/trader.db") as store:
        trading = Trading(store)
        trading.finish()
    return trading


def test_greeks(trader: Trader, tmp_path: Path) -> None:
    """Tables for people, sums that add up for machines, and one line for a file that cannot be read."""
    (tmp_path / "options.csv").write_text(OPTIONS)
    shown = trader("risk", "greeks", "--positions", "options.csv", "--spot", "-.1", "--volatility", ".05")
    assert shown.code == 0
    assert "total" in shown.out
    assert "-10.0%" in shown.out
    found = json.loads(trader("risk", "greeks", "--positions", "options.csv", "--rate", ".03", "--json").out)
    assert found["total"]["delta"] == pytest.approx(sum(row["delta"] for row in found["positions"]))
    assert found["total"]["vega"] == pytest.approx(sum(sums["vega"] for sums in found["by_underlying"].values()))
    assert len(found["moves"]) == 6
    wrong = trader("risk", "greeks", "--positions", "nowhere.csv")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith("error: ")
    assert trader("risk", "greeks", "--positions", "options.csv", "--as-of", "yesterday").code == 2


def test_exposure(trader: Trader, tmp_path: Path) -> None:
    """Groups, factors and liquidity of a file of weights."""
    rng = np.random.default_rng(0)
    days = np.datetime64("2021-01-01") + np.arange(120)
    market = rng.normal(0, 0.01, 120)
    table = np.column_stack([1.5 * market, -0.5 * market]) + rng.normal(0, 1e-4, (120, 2))
    rows = [f"{day},{a},{b}" for day, (a, b) in zip(days, table.tolist(), strict=True)]
    (tmp_path / "returns.csv").write_text("\n".join(["date,A,B", *rows]))
    (tmp_path / "factors.csv").write_text(
        "\n".join(["date,market", *(f"{d},{m}" for d, m in zip(days, market.tolist(), strict=True))])
    )
    (tmp_path / "weights.csv").write_text("asset,weight\nA,0.8\nB,-0.4\n")
    (tmp_path / "groups.csv").write_text("asset,sector,currency\nA,tech,USD\nB,,EUR\n")
    (tmp_path / "volumes.csv").write_text("asset,volume\nA,1000000\nB,100000\n")
    got = trader(
        *("risk", "exposure", "--portfolio", "weights.csv", "--returns", "returns.csv"),
        *("--groups", "groups.csv", "--factors", "factors.csv", "--volumes", "volumes.csv", "--value", "1e6", "--json"),
    )
    assert got.code == 0, got.err
    found = json.loads(got.out)
    assert found["exposure"] == pytest.approx({"gross": 1.2, "net": 0.4, "long": 0.8, "short": 0.4, "n_assets": 2})
    assert found["groups"]["sector"]["(none)"]["net"] == -0.4
    assert found["groups"]["currency"]["USD"]["gross"] == 0.8
    assert found["factors"]["factors"]["market"]["loading"] == pytest.approx(0.8 * 1.5 + 0.4 * 0.5, abs=0.01)
    assert found["liquidity"]["longest_days"] == pytest.approx(40.0)
    shown = trader("risk", "exposure", "--returns", "returns.csv", "--factors", "factors.csv")
    assert "market" in shown.out
    assert trader("risk", "exposure", "--returns", "returns.csv", "--value", "5").code == 2


def test_a_run_is_shown_and_reported(trader: Trader, run: Trading, tmp_path: Path) -> None:
    """What the store holds of it, as a table, as JSON and as a page with plots and scenarios."""
    holdings = run.decider.holdings()
    found = json.loads(trader("risk", "show", "--json").out)
    assert found["run_id"] == "r"
    assert found["equity"] == holdings.equity
    assert found["exposure"]["gross"] == pytest.approx(np.abs(holdings.weights).sum())
    shown = trader("risk", "show", "r")
    assert shown.code == 0
    assert "historical" in shown.out
    got = trader("risk", "report", "r", "--out", "page.html", "--scenarios", "hypothetical", "--json")
    assert got.code == 0, got.err
    page = (tmp_path / "page.html").read_text()
    assert "<svg" in page
    assert "Where the risk comes from" in page
    assert len(json.loads(got.out)["scenarios"]) > 20
    assert trader("risk", "report", "r").code == 0
    assert (tmp_path / "runs/r/risk.html").exists()
    missing = trader("risk", "report", "x")
    assert missing.code == 2
    assert "x" in missing.err
