"""A run's directory: complete, or marked incomplete; never half-written."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from trader.core.errors import OperationError
from trader.data.datasets import Benchmark
from trader.reporting.html import render_html
from trader.reporting.plots import equity_png, plots_of
from trader.reporting.run_data import EQUAL_WEIGHT, Curves, curves_of, read_run
from trader.reporting.signals import signal_quality
from trader.reporting.summary import Summary, summarise
from trader.storage import Store

__all__ = ["INCOMPLETE", "RUN_FILES", "mark_incomplete", "write_run"]

INCOMPLETE = "INCOMPLETE"
"""Name of the file that marks a directory whose run has not ended well (or not yet)."""

RUN_FILES = (
    "equity.parquet",
    "fills.parquet",
    "orders.parquet",
    "signals.parquet",
    "equity.png",
    "report.html",
    "summary.json",
)
"""What `write_run` writes, `summary.json` last."""

_STAGING = ".partial-"
_Write = Callable[[IO[bytes]], Any]


def mark_incomplete(run_dir: Path) -> None:
    """Create `run_dir` if needed and mark it; a directory that cannot be written raises OperationError."""
    with _one_error(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / INCOMPLETE).write_text("This run has not ended, or ended early. `trader runs` says which.\n")


def write_run(
    store: Store,
    run_id: str,
    run_dir: Path,
    *,
    benchmark: Benchmark | None = None,
    status: str = "complete",
    extras: Mapping[str, Any] = MappingProxyType({}),
    ended_ns: int | None = None,
) -> Summary:
    """Read a run back from the store and write its files; return its summary.

    Files are written beside their place first and moved there when all are whole, so a full disk leaves what was
    there before. A directory keeps its `INCOMPLETE` mark unless `status` is "complete".

    Parameters
    ----------
    benchmark : Benchmark, optional
        An index to compare with, beside equal-weight buy-and-hold.
    status : {"complete", "incomplete", "failed"}
        How the run ended; "running" counts as incomplete.
    extras : mapping
        As `trader.reporting.html.render_html` takes them.
    ended_ns : int, optional
        Wall clock; default is the record's end, or now.

    Raises
    ------
    NotFoundError
        If the store has no such run.
    OperationError
        If the files cannot be written.
    """
    data = read_run(store, run_id)
    status = "incomplete" if status == "running" else status
    curves = curves_of(data, benchmark) if len(data.decisions) else None
    signals = signal_quality(data)
    ended = ended_ns or data.record.ended_ns or time.time_ns()
    summary = summarise(data, curves, signals, run_dir, status=status, ended_ns=ended)
    plots = plots_of(summary, curves, signals.ic, data.decisions.latency_ns)
    signals_table = data.signals_table
    if curves is not None:
        # Not above: it reaches for scipy, which the actors that import this package can do without.
        from trader.reporting.risk import risk_part

        risk = risk_part(data)
        plots, extras = [*plots, *risk.plots], {**extras, "risk": risk.grids}
    if experiment := summary.settings.get("experiment", {}).get("name"):
        from trader.reporting.experiment import experiment_part

        part = experiment_part(store, run_id, experiment, data.decisions, signals.outcome, summary.pnl_by_symbol)
        plots, extras = [*plots, *part.plots], {**extras, "experiment": part.grids}
        signals_table = part.label(signals_table)
    page = render_html(summary, data.record, plots, extras).encode()
    picture = equity_png(curves)
    content = orjson.dumps(summary.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    writers: dict[str, _Write] = {
        "equity.parquet": _parquet(_equity_table(curves)),
        "fills.parquet": _parquet(data.fills_table),
        "orders.parquet": _parquet(data.orders_table),
        "signals.parquet": _parquet(signals_table),
        "equity.png": lambda file: file.write(picture),
        "report.html": lambda file: file.write(page),
        "summary.json": lambda file: file.write(content),
    }
    mark_incomplete(run_dir)
    _write_all(run_dir, writers)
    if status == "complete":
        with _one_error(run_dir):
            (run_dir / INCOMPLETE).unlink(missing_ok=True)
    return summary


def _write_all(run_dir: Path, writers: Mapping[str, _Write]) -> None:
    """Write every file to a folder of its own, then move them into place in the order given."""
    with _one_error(run_dir):
        for left in run_dir.glob(f"{_STAGING}*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=run_dir))
        try:
            for name, write in writers.items():
                with (staging / name).open("wb") as file:
                    write(file)
                    file.flush()
                    os.fsync(file.fileno())
            for name in writers:
                (staging / name).replace(run_dir / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _equity_table(curves: Curves | None) -> pa.Table:
    """Return the curves as columns; the second benchmark is the index."""
    stamp = pa.timestamp("ns", tz="UTC")
    if curves is None:
        names = ("equity", "cash", "gross", "net", "drawdown")
        return pa.table({"ts": pa.array([], stamp)} | {name: pa.array([], pa.float64()) for name in names})
    benchmarks = {
        "benchmark_equal_weight" if name == EQUAL_WEIGHT else "benchmark_index": equity
        for name, equity in curves.benchmarks.items()
    }
    return pa.table(
        {
            "ts": pa.array(curves.ts_ns, pa.int64()).cast(stamp),
            "equity": curves.equity,
            "cash": curves.cash,
            "gross": curves.gross,
            "net": curves.net,
            "drawdown": curves.drawdown,
            **benchmarks,
        }
    )


def _parquet(table: pa.Table) -> _Write:
    return lambda file: pq.write_table(table, file, compression="zstd")


@contextmanager
def _one_error(run_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperationError(f"run directory {run_dir} cannot be written: {error.strerror or error}") from error
