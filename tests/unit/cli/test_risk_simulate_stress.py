"""`trader risk simulate` and `trader risk stress`, from files to tables and JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from risk.stress import library
from trader.cli.main import app
from trader.core.decision import Decision
from trader.core.errors import DataError, NotFoundError, TraderError, UserError
from trader.core.orders import FillBatch, OrderBatch
from trader.storage import Store
from trader.storage.records import RunRecord


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Prices, factors and weights of two assets over 2019 and 2020."""
    rng = np.random.default_rng(1)
    days = pd.bdate_range("2019-01-01", "2020-12-31", name="date")
    factors = pd.DataFrame(rng.normal(0, 0.01, (len(days), 2)), columns=["equity", "rates"], index=days)
    returns = pd.DataFrame(
        {"A": 1.5 * factors["equity"], "B": 0.5 * factors["equity"] - 2 * factors["rates"]}, index=days
    )
    (100 * (1 + returns).cumprod()).to_csv(tmp_path / "prices.csv")
    factors.to_csv(tmp_path / "factors.csv")
    (tmp_path / "weights.csv").write_text("asset,weight\nA,.5\nB,.5\n")
    return tmp_path


def _run(*args: str) -> str:
    result = CliRunner().invoke(app, ["risk", *args])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def _json(*args: str) -> Any:
    return json.loads(_run(*args, "--json"))


def test_simulation_of_files(files: Path) -> None:
    """The spec comes back, figures are those of the closed form; a table shows them."""
    args = ("simulate", "--prices", str(files / "prices.csv"), "--weights", str(files / "weights.csv"))
    found = _json(*args, "--paths", "50000", "--horizon", "1", "--level", ".99", "--seed", "4")
    assert found["spec"]["seed"] == 4
    (figures,) = found["figures"]
    assert figures["var"] == pytest.approx(2.326 * found["deviation"], rel=0.03)
    table = _run(*args, "--model", "t", "--degrees", "5", "--holding", "held")
    assert "t with 5.0 degrees, held" in table


def test_stress_of_files(files: Path) -> None:
    """Days that the prices cover are replayed, others come from the factors; worst first."""
    args = ("stress", "--prices", str(files / "prices.csv"), "--portfolio", str(files / "weights.csv"))
    args += ("--factors", str(files / "factors.csv"))
    results = _json(*args)["results"]
    assert len(results) == len(library())
    losses = [result["pnl"] for result in results if result["applies"]]
    assert losses == sorted(losses)
    by_name = {result["scenario"]["name"]: result for result in results}
    assert {impact["how"] for impact in by_name["covid-2020"]["impacts"]} == {"replay"}
    assert by_name["rates-up-200"]["pnl"] == pytest.approx(-0.02, rel=0.1)
    assert by_name["crash-1987"]["proxies"][0]["coefficients"] == {"equity": pytest.approx(1.5, rel=0.2)}
    assert not by_name["oil-up-50"]["applies"]
    result = CliRunner().invoke(app, ["risk", *args, "--top", "3"])
    assert "more with smaller losses" in result.stdout
    assert "oil" in result.stderr
    assert "give their returns by --factors" in " ".join(result.stderr.split())


def test_own_scenarios_lists_and_kinds(files: Path) -> None:
    """A file adds to the library, and kinds choose from it."""
    own = files / "own.yaml"
    own.write_text("- {name: mine, title: Mine, kind: hypothetical, shocks: {A: -.5, B: 0}, source: me}\n")
    args = ("--prices", str(files / "prices.csv"), "--file", str(own), "--scenarios", "mine")
    (result,) = _json("stress", *args)["results"]
    assert result["pnl"] == -0.25
    assert len(_json("stress", "--list")) == len(library())
    assert "silver-1980" in _run("stress", "--list", "--scenarios", "historical")


def test_reverse_ladder_and_grid(files: Path) -> None:
    """Of the linear portfolio that regressions give."""
    args = ("stress", "--prices", str(files / "prices.csv"), "--factors", str(files / "factors.csv"))
    more = ("--reverse", ".1", "--ladder", "equity=-.2,.1", "--grid", "equity=-.1,.1;rates=0,.01")
    found = _json(*args, *more)
    assert found["exposures"] == {"equity": pytest.approx(1.0), "rates": pytest.approx(-1.0)}
    shocks = found["reverse"]["shocks"]
    assert shocks["equity"] - shocks["rates"] == pytest.approx(-0.1)
    assert found["ladder"]["pnl"] == pytest.approx([-0.2, 0.1])
    assert np.array(found["grid"]["pnl"]).ravel() == pytest.approx([-0.1, -0.11, 0.1, 0.09])
    shown = _run(*args, *more)
    assert "Most likely way to lose 10.0%" in " ".join(shown.split())


def test_volumes_make_selling_slow(files: Path) -> None:
    """Value traded a day, and that of the portfolio."""
    (files / "volumes.csv").write_text("asset,volume\nA,1000000\nB,1000\n")
    args = ("stress", "--prices", str(files / "prices.csv"), "--scenarios", "liquidity-50")
    (slow,) = _json(*args, "--volumes", str(files / "volumes.csv"), "--value", "100000")["results"]
    (quick,) = _json(*args)["results"]
    assert slow["pnl"] < quick["pnl"] == pytest.approx(-0.0025)
    assert slow["impacts"][0]["asset"] == "B"


@pytest.mark.parametrize(
    ("args", "kind", "message"),
    [
        (("stress", "--scenarios", "crash-1978"), NotFoundError, "did you mean crash-1987"),
        (("stress", "--portfolio", "no-such-run"), NotFoundError, "neither a file nor a run"),
        (("stress", "--returns", "a", "--prices", "b"), UserError, "both given"),
        (("stress", "--grid", "equity=.1"), UserError, "A=SIZES;B=SIZES"),
        (("stress", "--ladder", "equity"), UserError, "FACTOR=SIZE"),
        (("stress", "--ladder", "rates=.1"), DataError, "'rates' is not known"),
        (("simulate", "--model", "laplace"), DataError, "laplace"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, args: tuple[str, ...], kind: type[TraderError], message: str
) -> None:
    """The error names the option and what is allowed."""
    with pytest.raises(kind, match=message):
        _run(*args, "--set", f"run.runs_dir={tmp_path}")


def _decision(seq: int, positions: list[float], equity: float) -> Decision:
    nothing: Any = np.empty(0)
    n_orders, n_fills = (len(dataclasses.fields(kind)) for kind in (OrderBatch, FillBatch))
    return Decision(
        seq=seq,
        ts_ns=seq + 1,
        equity=equity,
        cash=0.0,
        positions=np.array(positions),
        prices=np.array([100.0, 50.0, np.nan]),
        score=np.zeros(3),
        members={},
        target=np.zeros(3),
        orders=OrderBatch(*[nothing] * n_orders),
        denials=(),
        fills=FillBatch(*[nothing] * n_fills),
        withdrawals=(),
        state_changes=(),
    )


def test_portfolios_of_runs_come_from_the_store(tmp_path: Path, files: Path) -> None:
    """The last decision's positions at its prices; a run that decided or holds nothing has no portfolio."""
    symbols = ("A", "B", "C")
    with Store.open(f"sqlite:///{tmp_path}/trader.db") as store:
        for name, last in (("empty", None), ("flat", [0.0, 0.0, 0.0]), ("held", [3.0, -2.0, 0.0])):
            store.create_run(RunRecord(run_id=name, mode="run", created_ns=1, seed=0, symbols=symbols))
            if last is not None:
                made = [_decision(0, [9.0, 9.0, 0.0], 500.0), _decision(1, last, 1000.0)]
                store.append(name, made, traces=["0" * 32, "1" * 32])
    settings = ("--set", f"run.runs_dir={tmp_path}", "--prices", str(files / "prices.csv"))
    (result,) = _json("stress", "--portfolio", "held", "--scenarios", "covid-2020", *settings)["results"]
    assert {impact["asset"]: impact["weight"] for impact in result["impacts"]} == {"A": 0.3, "B": -0.1}
    for name, message in (("empty", "no decision that left equity"), ("flat", "held nothing")):
        with pytest.raises(UserError, match=message):
            _run("stress", "--portfolio", name, *settings)
