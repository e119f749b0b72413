"""A run on real PostgreSQL and Redis servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def _trader(runs_dir: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trader", *args, "--set", f"run.runs_dir={runs_dir}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | environment,
    )


def test_run_on_postgresql_and_redis(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    """The store is PostgreSQL, every decision is in the stream, and the fills are those of a backtest on SQLite."""
    servers = {"TRADER_STORE__URL": postgres_url, "TRADER_TELEMETRY__REDIS_URL": redis_url}
    done = _trader(tmp_path, "run", "--preset", "ci", "--json", **servers)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert not (tmp_path / "trader.db").exists()

    watched = _trader(tmp_path, "watch", summary["run_id"], **servers)
    assert watched.returncode == 0, watched.stderr
    messages = [json.loads(line) for line in watched.stdout.splitlines()]
    decisions = [message["seq"] for message in messages if message["type"] == "decision"]
    signals = pq.read_table(Path(summary["run_dir"]) / "signals.parquet")
    assert decisions == list(range(len(signals) // 6))

    plain = _trader(tmp_path, "backtest", "--preset", "ci", "--json")
    assert plain.returncode == 0, plain.stderr
    fills = [
        pq.read_table(Path(result["run_dir"]) / "fills.parquet").drop_columns(["run_id", "trace_id"])
        for result in (summary, json.loads(plain.stdout))
    ]
    assert fills[0].num_rows > 50
    assert fills[0].equals(fills[1])
