"""`trader risk correlation` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.returns import garch_returns


def _write(path: Path, returns: np.ndarray) -> None:
    days = np.datetime64("2020-01-01") + np.arange(len(returns))
    lines = ["time,AA,BB,CC,DD"]
    lines += [f"{day}," + ",".join(f"{value:.8f}" for value in row) for day, row in zip(days, returns, strict=True)]
    path.write_text("\n".join(lines))


def test_a_break_is_shown(trader: Callable[..., Any], tmp_path: Path) -> None:
    """Figures as JSON agree with numpy; the table, a line on the regime and the picture are there."""
    returns = garch_returns(700, 4, 3, correlation=np.r_[np.full(640, 0.1), np.full(60, 0.8)])
    _write(tmp_path / "returns.csv", returns)
    outcome = trader("risk", "correlation", "--returns", "returns.csv", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    expected = np.corrcoef(returns[-60:].T)[np.triu_indices(4, 1)].mean()
    assert abs(found["now"]["mean"] - expected) < 1e-6
    assert found["breakdown"]["p_value"] < 0.05
    assert found["breakdown"]["mean_now"] > found["breakdown"]["mean_before"]
    assert found["regime"]["believed"] in (True, False)

    outcome = trader("risk", "correlation", "--returns", "returns.csv", "--shrink", "ledoit_wolf", "--json")
    assert outcome.code == 0, outcome.err
    assert 0.0 < json.loads(outcome.out)["now"]["mean"] < found["now"]["mean"]

    outcome = trader("risk", "correlation", "--returns", "returns.csv", "--decay", ".97", "--plot", "c.png")
    assert outcome.code == 0, outcome.err
    assert "Regime: " in outcome.out
    assert (tmp_path / "c.png").stat().st_size > 1000


def test_too_little_is_refused(trader: Callable[..., Any], tmp_path: Path) -> None:
    _write(tmp_path / "returns.csv", garch_returns(100, 4, 3))
    outcome = trader("risk", "correlation", "--returns", "returns.csv")
    assert outcome.code == 2
    assert "100 periods" in outcome.err
