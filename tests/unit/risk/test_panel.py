"""What may be a panel of returns, and how it is read from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from risk.files import read_panel, read_weights
from risk.panel import ReturnPanel
from trader.core.errors import DataError


def test_incomplete_periods_are_counted() -> None:
    """A period without one of the returns is left out."""
    panel = ReturnPanel.of(["A", "B"], [[0.1, np.nan], [0.1, 0.2], [np.nan, 0.2]])
    assert (panel.n_periods, panel.dropped) == (1, 2)
    assert panel.stamps.tolist() == [np.datetime64("1970-01-02", "ns").astype(int)]


@pytest.mark.parametrize(
    ("names", "returns", "stamps", "message"),
    [
        (["A"], [0.1, 0.2], None, r"shape \(2,\)"),
        (["A", "A"], [[0.1, 0.2]], None, "A more than once"),
        (["A", "B"], [[np.nan, 0.2], [np.nan, 0.1]], None, "A are all missing"),
        (["A", "B"], [[np.nan, 0.2], [0.2, np.nan]], None, "no period"),
        (["A"], [[np.inf]], None, "inf; finite"),
        (["A"], [[-1.5]], None, "-1.5; finite"),
        (["A"], [[0.1], [0.2]], ["2020-01-02", "2020-01-01"], "do not rise"),
        (["A"], np.empty((0, 1)), None, "no period"),
    ],
)
def test_bad_returns_are_refused(names: list[str], returns: object, stamps: object, message: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(DataError, match=message):
        ReturnPanel.of(names, returns, stamps)  # type: ignore[arg-type]


def test_weights_name_assets() -> None:
    """Assets without a weight have none; a weight without an asset is an error that suggests one."""
    panel = ReturnPanel.of(["AAPL", "MSFT"], [[0.1, 0.2]])
    assert panel.weights({"MSFT": -0.5}).tolist() == [0.0, -0.5]
    assert panel.weights().tolist() == [0.5, 0.5]
    with pytest.raises(DataError, match="did you mean AAPL"):
        panel.weights({"APPL": 1.0})
    with pytest.raises(DataError, match="finite"):
        panel.weights({"MSFT": np.nan})


def test_files_are_read_as_pandas_reads_them(tmp_path: Path) -> None:
    """Prices from a CSV become the same returns as `pct_change`, rows being sorted by time."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.uniform(1, 2, (5, 2)), columns=["A", "B"], index=pd.date_range("2020-01-01", periods=5, name="Date")
    )
    frame.iloc[::-1].to_csv(tmp_path / "prices.csv")
    panel = read_panel(tmp_path / "prices.csv", prices=True)
    expected = frame.pct_change().iloc[1:]
    np.testing.assert_allclose(panel.returns, expected, rtol=1e-12)
    assert (panel.stamps == expected.index.to_numpy()).all()
    expected.reset_index().to_parquet(tmp_path / "returns.parquet")
    assert read_panel(tmp_path / "returns.parquet", assets=["B"]).names == ("B",)


def test_weights_are_read_and_checked(tmp_path: Path) -> None:
    """Any of the usual column names; an asset may come once."""
    (tmp_path / "w.csv").write_text("Symbol,Weight\nA,0.5\nB,-0.25\n")
    assert read_weights(tmp_path / "w.csv") == {"A": 0.5, "B": -0.25}
    (tmp_path / "w.csv").write_text("asset,weight\nA,0.5\nA,0.1\n")
    with pytest.raises(DataError, match="A more than once"):
        read_weights(tmp_path / "w.csv")
    (tmp_path / "w.csv").write_text("asset,share of it\nA,0.5\n")
    with pytest.raises(DataError, match="`asset` and `weight`"):
        read_weights(tmp_path / "w.csv")
