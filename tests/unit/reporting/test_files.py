"""A run's directory: what is in it, and that it is never half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.disk import disk_of
from trader.core.errors import NotFoundError, OperationError
from trader.core.orders import format_fill_id
from trader.data.datasets import Benchmark
from trader.reporting.files import INCOMPLETE, RUN_FILES, mark_incomplete, write_run
from trader.storage import Store

Simulate = Callable[..., Any]


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which is nearly all the work of a report; the picture that remains is as large as a real one."""
    monkeypatch.setattr("trader.reporting.files.plots_of", lambda *_: [])
    monkeypatch.setattr("trader.reporting.files.equity_png", lambda _: b"\x89PNG" + bytes(50_000))


def test_a_complete_run_leaves_exactly_its_files(store: Store, simulate: Simulate, tmp_path: Path) -> None:
    """The directory holds the files of the contract and no remains; the mark it began with is gone."""
    run = simulate(n_days=8)
    mark_incomplete(tmp_path / "sim")
    assert [p.name for p in (tmp_path / "sim").iterdir()] == [INCOMPLETE]
    (tmp_path / "sim" / ".partial-killed").mkdir()
    summary = write_run(store, run.run_id, tmp_path / "sim")
    assert sorted(p.name for p in (tmp_path / "sim").iterdir()) == sorted(RUN_FILES)
    assert summary.status == "complete"
    assert (tmp_path / "sim" / "equity.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("without_pictures")
def test_tables_hold_what_was_decided(store: Store, simulate: Simulate, tmp_path: Path) -> None:
    """Equity, fills, orders and signals read back from Parquet are those that went into the store."""
    run = simulate(n_days=30)
    index = Benchmark("index", run.ts_ns, np.linspace(100.0, 110.0, run.ts_ns.size))
    write_run(store, run.run_id, tmp_path, benchmark=index)
    equity = pq.read_table(tmp_path / "equity.parquet")
    assert equity.column_names[:6] == ["ts", "equity", "cash", "gross", "net", "drawdown"]
    assert equity.column_names[6:] == ["benchmark_equal_weight", "benchmark_index"]
    np.testing.assert_array_equal(equity["ts"].cast("int64"), run.ts_ns)
    np.testing.assert_array_equal(equity["equity"], run.equity)
    np.testing.assert_allclose(equity["benchmark_index"], run.equity[0] * index.close / 100.0)
    fills = pq.read_table(tmp_path / "fills.parquet")
    assert fills["fill_id"].to_pylist() == [format_fill_id(i) for i in run.fills.fill_id.tolist()]
    np.testing.assert_array_equal(fills["price"], run.fills.price)
    orders = pq.read_table(tmp_path / "orders.parquet")
    denied = sum(len(d.denials) for d in run.decisions)
    assert orders["verdict"].to_pylist().count("denied") == denied > 0
    signals = pq.read_table(tmp_path / "signals.parquet")
    np.testing.assert_array_equal(signals["score"], np.concatenate([d.score for d in run.decisions]))


def test_summary_json_is_the_summary(store: Store, simulate: Simulate, tmp_path: Path) -> None:
    """`summary.json` is valid JSON without NaN, equal to what was returned, and names run and directory."""
    run = simulate(n_days=25, trade=False)
    summary = write_run(store, run.run_id, tmp_path)
    read = json.loads((tmp_path / "summary.json").read_text(), parse_constant=lambda text: pytest.fail(text))
    assert read == json.loads(json.dumps(summary.to_dict()))
    assert (read["run_id"], read["run_dir"], read["status"]) == ("sim", str(tmp_path), "complete")
    assert read["performance"]["sharpe"] is None
    assert read["costs"]["total"] == 0.0


@pytest.mark.parametrize("status", ["incomplete", "failed", "running"])
@pytest.mark.usefixtures("without_pictures")
def test_an_unfinished_run_stays_marked(store: Store, simulate: Simulate, tmp_path: Path, status: str) -> None:
    """All files are there, and the marker says that the run is not whole; one that still runs is incomplete."""
    summary = write_run(store, simulate(n_days=5).run_id, tmp_path, status=status)
    assert summary.status == ("failed" if status == "failed" else "incomplete")
    assert {p.name for p in tmp_path.iterdir()} == {*RUN_FILES, INCOMPLETE}


@pytest.mark.parametrize("n_days", [0, 1, 2])
def test_a_run_without_data_still_has_every_file(store: Store, simulate: Simulate, tmp_path: Path, n_days: int) -> None:
    """No decision, one, or two: the files exist, and figures that need more are not made up."""
    summary = write_run(store, simulate(n_days=n_days).run_id, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == set(RUN_FILES)
    assert (summary.performance is None) == (n_days == 0)
    assert pq.read_table(tmp_path / "equity.parquet").num_rows == n_days


@pytest.mark.usefixtures("without_pictures")
def test_a_full_disk_changes_nothing(store: Store, simulate: Simulate, tmp_path: Path) -> None:
    """When the disk is full midway, the earlier files stand, nothing is left beside them, and one error is raised."""
    run = simulate(n_days=25)
    write_run(store, run.run_id, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with disk_of(15_000), pytest.raises(OperationError, match="cannot be written: File too large"):
        write_run(store, run.run_id, tmp_path, status="failed")
    after = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert after.pop(INCOMPLETE)
    assert after == before


@pytest.mark.usefixtures("without_pictures")
def test_a_directory_that_cannot_be_made_is_one_error(store: Store, simulate: Simulate, tmp_path: Path) -> None:
    """A file where the directory should be is an operation error that names it."""
    (tmp_path / "runs").write_text("")
    with pytest.raises(OperationError, match=r"runs/sim cannot be written: Not a directory"):
        write_run(store, simulate(n_days=3).run_id, tmp_path / "runs" / "sim")
    with pytest.raises(OperationError, match="cannot be written"):
        mark_incomplete(tmp_path / "runs" / "sim")


def test_an_unknown_run_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """A run the store does not know raises, and no directory appears."""
    with pytest.raises(NotFoundError, match="'nope' does not exist"):
        write_run(store, "nope", tmp_path / "nope")
    assert not (tmp_path / "nope").exists()


def test_writing_again_gives_the_same_bytes(store: Store, simulate: Simulate, tmp_path: Path) -> None:
    """The same run written twice, as ended at the same time, is the same to the byte; beside an index, too."""
    run = simulate(n_days=30)
    index = Benchmark("index", run.ts_ns, np.linspace(100.0, 110.0, run.ts_ns.size))
    contents = []
    for _ in range(2):
        write_run(store, run.run_id, tmp_path, benchmark=index, ended_ns=1_700_000_100_000_000_000)
        contents.append({p.name: p.read_bytes() for p in tmp_path.iterdir()})
    assert contents[0] == contents[1]
