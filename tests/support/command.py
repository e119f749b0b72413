"""The command line as a user has it: other processes, an own runs folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trader.storage import Store

TIMEOUT_S = 600


def command(runs_dir: Path, *args: str) -> list[str]:
    """Return the command line of a trader command in `runs_dir`."""
    return [sys.executable, "-m", "trader", *args, "--set", f"run.runs_dir={runs_dir}"]


def environment(**extra: str) -> dict[str, str]:
    """Return the environment of a command that chooses for itself how its Ray cluster authenticates."""
    return {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"} | extra


def run_trader(runs_dir: Path, *args: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with these variables in its environment."""
    return subprocess.run(
        command(runs_dir, *args),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=environment(**extra),
    )


def read_fills(run_dir: Path) -> pa.Table:
    """Return fills.parquet without what names the run."""
    return pq.read_table(run_dir / "fills.parquet").drop_columns(["run_id", "trace_id"])


def wait_for_decisions(
    runs_dir: Path, process: subprocess.Popen[str], at_least: int, store_url: str | None = None
) -> str:
    """Return the id of the run that `process` trades in `runs_dir`, once that many decisions are committed.

    They are in the store of that folder unless there is another one.
    """
    deadline = time.monotonic() + 480
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if store_url is not None or (runs_dir / "trader.db").exists():
            with Store.open(store_url or f"sqlite:///{runs_dir}/trader.db") as store:
                for record in store.runs():
                    if store.last_seq(record.run_id) + 1 >= at_least:
                        return record.run_id
        time.sleep(0.2)
    raise AssertionError(f"no run came to {at_least} decisions")
