"""A run on Ray and on real PostgreSQL and Redis servers is the backtest."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.command import read_fills, run_trader

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_run_on_postgresql_and_redis(postgres_url: str, redis_url: str, tmp_path: Path, reference_run: Path) -> None:
    """The fills of a Ray run are those of a backtest on SQLite in every column, and stdout holds the summary alone.

    The store is PostgreSQL, and every decision is in the stream.
    """
    servers = {"TRADER_STORE__URL": postgres_url, "TRADER_TELEMETRY__REDIS_URL": redis_url}
    done = run_trader(tmp_path, "run", "--preset", "ci", "--json", **servers)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["status"] == "complete"
    assert not (tmp_path / "trader.db").exists()
    run_dir = Path(summary["run_dir"])
    fills = read_fills(run_dir)
    assert fills.num_rows > 50
    assert fills == read_fills(reference_run)
    written = {path.name for path in run_dir.iterdir() if path.is_file()}
    expected = {"summary.json", "equity.parquet", "fills.parquet", "orders.parquet", "signals.parquet"}
    assert expected | {"log.jsonl", "report.html", "equity.png"} <= written
    assert "INCOMPLETE" not in written

    watched = run_trader(tmp_path, "watch", summary["run_id"], **servers)
    assert watched.returncode == 0, watched.stderr
    messages = [json.loads(line) for line in watched.stdout.splitlines()]
    decisions = [message["seq"] for message in messages if message["type"] == "decision"]
    assert decisions == list(range(pq.read_metadata(run_dir / "signals.parquet").num_rows // 6))
