"""`trader risk var`, `validate` and `tail` on files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from risk.files import read_panel, read_weights
from risk.var.methods import METHODS, estimate
from trader.cli.risk import app
from trader.core.errors import DataError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder: Path = tmp_path_factory.mktemp("risk")
    rng = np.random.default_rng(3)
    market = rng.standard_t(4, (600, 1)) * 0.01
    frame = pd.DataFrame(market + rng.normal(0, 0.008, (600, 3)), columns=["AAA", "BBB", "CCC"])
    frame.insert(0, "date", pd.date_range("2020-01-01", periods=600).astype(str))
    frame.loc[5, "BBB"] = None
    frame.to_csv(folder / "returns.csv", index=False)
    (folder / "w.csv").write_text("asset,weight\nAAA,0.6\nCCC,0.3\nBBB,-0.2\n")
    return ["--returns", str(folder / "returns.csv"), "--weights", str(folder / "w.csv")]


def _json(*args: str) -> object:
    result = CliRunner().invoke(app, [*args, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_var_in_json_is_the_estimate(files: list[str]) -> None:
    """All methods by default, the library's figures, and components that add up."""
    found = _json("var", *files, "--level", "0.975", "--paths", "5000")
    assert isinstance(found, dict)
    assert [row["method"] for row in found["estimates"]] == list(METHODS)
    assert (found["refused"], found["dropped"]) == ({}, 1)
    panel = read_panel(Path(files[1]))
    weights = panel.weights(read_weights(Path(files[3])))
    expected = estimate(panel, weights, "fhs_evt", 0.975)
    assert found["estimates"][-1]["var"] == pytest.approx(expected.var)
    parts = found["contributions"]
    assert sum(row["component_es"] for row in parts["assets"]) == pytest.approx(parts["estimate"]["es"])
    assert [row["weight"] for row in parts["assets"]] == [0.6, -0.2, 0.3]


def test_var_as_tables(files: list[str]) -> None:
    """Methods, horizon, components; warnings go to stderr; a method that cannot be fitted is named."""
    shown = CliRunner().invoke(app, ["var", *files, "--horizon", "5", "--window", "150"])
    assert shown.exit_code == 0, shown.output
    assert "Loss over the next 5 periods" in shown.stdout
    assert "student_t" in shown.stdout
    assert "AAA" in shown.stdout
    assert "evt left out" in shown.stderr
    assert "1 incomplete periods" in shown.stderr


def test_a_method_asked_for_must_be_possible(files: list[str]) -> None:
    """By name it fails, among all it is left out."""
    result = CliRunner().invoke(app, ["var", *files, "--window", "150", "--method", "normal,fhs"])
    assert isinstance(result.exception, DataError)
    assert "at least 250" in str(result.exception)


def test_what_cannot_be_split_is_told(tmp_path: Path) -> None:
    """A portfolio that is all gain has figures and no components."""
    file = tmp_path / "gains.csv"
    days = pd.date_range("2020-01-01", periods=300).astype(str)
    pd.DataFrame({"date": days, "A": np.linspace(0.01, 0.02, 300)}).to_csv(file, index=False)
    found = _json("var", "--returns", str(file), "--method", "historical")
    assert isinstance(found, dict)
    assert found["estimates"][0]["var"] < 0.0
    assert found["contributions"] is None
    assert "above 0" in found["refused"]["components"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--method", "magic"], "magic is not known"),
        (["--level", "99"], "level=99"),
        (["--horizon", "3", "--scaling", "cube"], "scaling='cube'"),
        (["--components", "none"], "none is not known"),
        (["--covariance", "guess", "--method", "normal"], "method='guess'"),
    ],
)
def test_what_var_refuses(files: list[str], args: list[str], message: str) -> None:
    """The error names the option's value."""
    result = CliRunner().invoke(app, ["var", *files, *args])
    assert isinstance(result.exception, DataError)
    assert message in str(result.exception)


def test_validate(files: list[str]) -> None:
    """A row a method, in a table and in JSON."""
    args = ["validate", *files, "--methods", "historical,fhs", "--window", "300", "--refit", "100", "--level", "0.95"]
    found = _json(*args)
    assert isinstance(found, list)
    assert [row["method"] for row in found] == ["historical", "fhs"]
    assert {row["n_periods"] for row in found} == {299}
    assert found[0]["expected"] == pytest.approx(14.95)
    shown = CliRunner().invoke(app, args)
    assert "299 forecasts at 0.95" in shown.stdout
    assert "Passed:" in shown.stdout


def test_tail(files: list[str]) -> None:
    """Quantiles with intervals, diagnostics, pairs."""
    found = _json("tail", *files, "--level", "0.99", "--level", "0.999")
    assert isinstance(found, dict)
    (row, rarer) = found["levels"]
    assert row["var"]["low"] < row["var"]["estimate"] < row["var"]["high"] < row["es"]["high"]
    assert rarer["var"]["estimate"] > row["var"]["estimate"]
    assert len(found["dependence"]) == 3
    assert found["goodness"]["ad_p"] > 0.0
    shown = CliRunner().invoke(app, ["tail", *files, "--fraction", "0.1"])
    assert shown.exit_code == 0, shown.output
    assert "Losses beyond the sample" in shown.stdout
    assert "Worst 5 % of days in common" in shown.stdout
