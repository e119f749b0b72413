"""`trader models train | weights | league`, and a registered version in a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SMALL = (
    "--feed",
    "simulated",
    "--set",
    "feed.simulation.n_symbols=6",
    "--set",
    "feed.simulation.n_days=700",
    "--set",
    "models.n_splits=3",
    "--set",
    "models.horizon=1",
)


def _train(trader: Callable[..., Any], *args: str) -> Any:
    return trader("models", "train", *args, "--preset", "ci", "--config", "none.yaml", *SMALL)


@pytest.fixture(autouse=True)
def config(tmp_path: Path) -> None:
    """An empty configuration: the presets' data are larger than a test needs."""
    (tmp_path / "none.yaml").write_text("{}\n")


def test_train_then_trade(trader: Callable[..., Any], tmp_path: Path) -> None:
    """A trained version is listed, has a page, and trades as a member after the data it has seen."""
    trained = _train(trader, "linear", "--train-end", "2016-12-30", "--param", "alpha=2", "--why", "first", "--json")
    assert trained.code == 0, trained.err
    answer = json.loads(trained.out)
    version = answer["version"]
    assert (version["ref"], version["state"]) == ("linear@1.0.0", "STAGING")
    assert answer["report"]["params"]["alpha"] == 2
    assert Path(answer["page"]).read_text().startswith("<!doctype html>")
    listed = json.loads(trader("models", "list", "--json").out)
    assert [one["ref"] for one in listed] == ["linear@1.0.0"]
    assert trader("models", "promote", "linear@1.0.0", "--why", "to trade").code == 0

    trade = ("backtest", "--members", "momentum,linear@champion", *SMALL, "--train-end", "2017-03-31", "--json")
    traded = trader(*trade)
    assert traded.code == 0, traded.err
    assert set(json.loads(traded.out)["member_ic"]) == {"momentum@1.0.0", "linear@1.0.0"}
    early = trader("backtest", "--members", "linear@1.0.0", *SMALL, "--train-end", "2016-09-30")
    assert early.code != 0
    assert "has seen data up to 2016-12-30" in early.err


def test_weights_are_kept(trader: Callable[..., Any]) -> None:
    """Weights are set, listed with who and why, and those that look ahead refused."""
    assert "weigh the same" in trader("models", "weights").err
    done = trader("models", "weights", "momentum=1,linear=3", "--from", "2012-01-01", "--why", "linear did better")
    assert done.code == 0, done.err
    (change,) = json.loads(trader("models", "weights", "--json").out)
    assert change["weights"] == {"momentum": 1.0, "linear": 3.0}
    assert change["why"] == "linear did better"
    refused = trader("models", "weights", "linear=1", "--from", "2012-01-01", "--seen-until", "2012-01-01")
    assert refused.code == 2
    assert "look ahead" in refused.err
    assert trader("models", "weights", "linear").code == 2


def test_league_writes_its_table(trader: Callable[..., Any], tmp_path: Path) -> None:
    """Every kind, all together and buy-and-hold have a row."""
    found = trader(
        "models", "league", "--kinds", "momentum,linear", "--preset", "ci", "--config", "none.yaml",
        *SMALL[2:], "--set", "feed.kind=simulated", "--out", "table.md", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert {row["name"] for row in json.loads(found.out)["rows"]} == {"momentum", "linear", "equal weights"}
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("| buy and hold |")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("boosing",), ("boosing", "did you mean 'boosting'")),
        (("linear", "--param", "alpa=1"), ("no parameter 'alpa'", "alpha")),
        (("linear", "--param", "alpha"), ("alpha", "name=value")),
        (("linear", "--param", "alpha=-1"), ("alpha=-1", "positive")),
        (("linear", "--gpu", "on"), ("CPU only",)),
        (("linear", "--train-end", "1999-01-01"), ("up to the end of training",)),
    ],
)
def test_bad_input_is_one_line(trader: Callable[..., Any], args: tuple[str, ...], words: tuple[str, ...]) -> None:
    """What is wrong is named, with exit code 2, and nothing is registered."""
    outcome = _train(trader, *args)
    assert outcome.code == 2, outcome
    lines = [line for line in outcome.err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]
    assert json.loads(trader("models", "list", "--json").out) == []


def test_labels_are_written(trader: Callable[..., Any], tmp_path: Path) -> None:
    """Barriers, weights and meta-labels of a file of bars, one row a bar."""
    pd = pytest.importorskip("pandas")
    rows = ["time,symbol,close"]
    for day in range(400):
        stamp = f"20{10 + day // 336}-{day // 28 % 12 + 1:02d}-{day % 28 + 1:02d}"
        rows += [f"{stamp},{symbol},{100 * 1.001**day + (day * k) % 7}" for k, symbol in ((3, "AA"), (5, "BB"))]
    (tmp_path / "bars.csv").write_text("\n".join(rows) + "\n")
    barriers = ("--horizon", "5", "--profit", "0.3", "--stop", "0.3")
    args = ("data", "labels", "bars.csv", "--kind", "bars", *barriers, "--out", "labels.parquet")
    done = trader(*args, "--side", "return_5d")
    assert done.code == 0, done.err
    assert "profit first" in done.err
    table = pd.read_parquet(tmp_path / "labels.parquet")
    assert len(table) == 800
    known = table.dropna(subset=["label"])
    assert set(known["label"]) <= {-1.0, 0.0, 1.0}
    assert set(known["label"]) >= {-1.0, 1.0}
    assert (known["ends_ns"] > known["ts_ns"]).all()
    assert abs(known["uniqueness_weight"].mean() - 1) < 1e-9
    assert set(table["meta_label"].dropna()) == {0.0, 1.0}
    wrong = trader(*args, "--side", "return_9d")
    assert (wrong.code, "return_5d" in wrong.err) == (2, True)
