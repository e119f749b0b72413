"""`trader risk anomalies` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from risk.anomaly.simulation import simulate_quotes
from tests.support.returns import garch_returns


def test_quotes_of_a_file(trader: Callable[..., Any], tmp_path: Path) -> None:
    """The rules name the kind of each anomaly that was put in, at its time; the table has them too."""
    usual, market = simulate_quotes(2000, 5), simulate_quotes(2400, 3, 2, severity=1.25)
    parts = usual.quotes, market.quotes
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ("bid", "ask", "bid_size", "ask_size")
    }
    second = 1_000_000_000
    ts_ns = np.concatenate([parts[0].ts_event_ns, parts[1].ts_event_ns + 2000 * second])
    stamps = pa.array(ts_ns, pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"time": stamps, "symbol": ["AA"] * len(ts_ns), **columns}), tmp_path / "quotes.parquet")
    outcome = trader(
        "risk", "anomalies", "--ticks", "quotes.parquet", "--train", ".45", "--false-alarms", "1", "--json"
    )
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    begin = np.datetime64(int(ts_ns[0]) + 2000 * second, "ns")
    alarms = [
        (float((np.datetime64(a["time"]) - begin) / np.timedelta64(1, "s")), a["reason"]) for a in found["alarms"]
    ]
    for event in market.injected:
        assert any(event.begin - 1 <= at <= event.end + 2 and event.kind in reason for at, reason in alarms), event
    assert len(alarms) <= 1.5 * len(market.injected) + 1

    outcome = trader("risk", "anomalies", "--ticks", "quotes.parquet")
    assert outcome.code == 0, outcome.err
    assert "deviations from its level" in outcome.out


def test_returns_of_a_file(trader: Callable[..., Any], tmp_path: Path) -> None:
    """A day on which one asset falls by 40 deviations is listed with its date."""
    returns = garch_returns(1500, 3, 4)
    returns[1200, 1] = -0.6
    days = np.datetime64("2018-01-01") + np.arange(1500)
    rows = [f"{day}," + ",".join(map(str, row)) for day, row in zip(days, returns.tolist(), strict=True)]
    (tmp_path / "returns.csv").write_text("\n".join(["time,A,B,C", *rows]))
    outcome = trader("risk", "anomalies", "--returns", "returns.csv", "--detector", "shewhart", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert any(alarm["time"].startswith(str(days[1200])) for alarm in found["alarms"])
    assert found["rows_judged"] == 750


def test_what_is_refused(trader: Callable[..., Any], tmp_path: Path) -> None:
    for options, words in (
        (("--train", "2"), "--train 2"),
        (("--detector", "nose"), "'nose'"),
        (("--detector", "quotes"), "needs the features"),
        (("--ticks", "q.csv", "--returns", "r.csv"), "one is allowed"),
    ):
        outcome = trader("risk", "anomalies", *options)
        assert outcome.code == 2, outcome
        assert words in outcome.err
