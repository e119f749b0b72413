"""Bad input gives one clear line, the right exit code, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trader import __version__

GOOD = "time,symbol,close\n" + "".join(
    f"20{10 + day // 336}-{day // 28 % 12 + 1:02d}-{day % 28 + 1:02d},{symbol},{100 + (day * 7 + len(symbol)) % 13}\n"
    for day in range(1000)
    for symbol in ("AA", "BBB")
)


def _assert_one_line(outcome: Any, code: int, *words: str) -> None:
    lines = [line for line in outcome.err.splitlines() if line.startswith("error")]
    assert outcome.code == code, outcome
    assert len(lines) == 1, outcome.err
    for word in words:
        assert word in lines[0], lines[0]
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize("name", ["backtest", "run"])
def test_missing_file(trader: Callable[..., Any], tmp_path: Path, name: str) -> None:
    """The path is named, and no run directory is left behind."""
    _assert_one_line(trader(name, "--data", "nowhere.csv"), 2, "nowhere.csv", "does not exist")
    assert [path.name for path in (tmp_path / "runs").glob("*") if path.is_dir()] == []


def test_wrong_column(trader: Callable[..., Any], tmp_path: Path) -> None:
    """The missing column is named together with what the file has."""
    (tmp_path / "bars.csv").write_text("time,symbol,clse\n2020-01-01,A,1\n")
    _assert_one_line(trader("backtest", "--data", "bars.csv", "--kind", "bars"), 2, "close", "clse")


def test_unknown_symbol(trader: Callable[..., Any], tmp_path: Path) -> None:
    """A symbol that the file lacks is named."""
    (tmp_path / "bars.csv").write_text(GOOD)
    _assert_one_line(trader("backtest", "--data", "bars.csv", "--kind", "bars", "--symbols", "AA,ZZ"), 2, "ZZ")


def test_negative_prices_are_counted(trader: Callable[..., Any], tmp_path: Path) -> None:
    """Single bad rows are refused and counted, not fatal."""
    (tmp_path / "bars.csv").write_text(GOOD + "2019-01-01,AA,-5\n2019-01-02,AA,nan\n")
    outcome = trader("data", "check", "bars.csv", "--kind", "bars", "--json")
    assert outcome.code == 0, outcome.err
    import json

    rejected = json.loads(outcome.out)["rejected"]
    assert sum(rejected.values()) == 2


def test_a_file_of_only_bad_rows_is_refused(trader: Callable[..., Any], tmp_path: Path) -> None:
    """Nothing usable is an error."""
    (tmp_path / "bars.csv").write_text("time,symbol,close\n2020-01-01,A,-1\n")
    assert trader("backtest", "--data", "bars.csv", "--kind", "bars").code == 2


@pytest.mark.parametrize("text", ["a: [", "risk: {max_gros: 2}", "run: 5"])
def test_unreadable_config(trader: Callable[..., Any], tmp_path: Path, text: str) -> None:
    """Broken YAML and unknown keys are bad usage."""
    (tmp_path / "own.yaml").write_text(text)
    _assert_one_line(trader("backtest", "--config", "own.yaml"), 2)


def test_runs_folder_that_is_a_file(trader: Callable[..., Any], tmp_path: Path) -> None:
    """A runs folder that cannot be made is named."""
    (tmp_path / "runs").write_text("")
    outcome = trader("backtest", "--preset", "ci")
    assert outcome.code in (1, 2)
    _assert_one_line(outcome, outcome.code, "runs")


def test_unknown_run(trader: Callable[..., Any]) -> None:
    """Resume, report and trace name the run they do not find."""
    _assert_one_line(trader("run", "--resume", "20200101-000000-abcd"), 2, "20200101-000000-abcd")
    _assert_one_line(trader("report", "nope"), 2, "nope")
    _assert_one_line(trader("trace", "nope", "O-00000001-0000"), 2, "nope")


def test_halt_without_a_session(trader: Callable[..., Any]) -> None:
    """There is nothing to halt."""
    _assert_one_line(trader("halt"), 2, "no running session")


def test_bad_assignment(trader: Callable[..., Any]) -> None:
    """`--set` says what form it wants."""
    _assert_one_line(trader("backtest", "--set", "seed=3"), 2, "section.field=value")


def test_unknown_option_is_bad_usage(trader: Callable[..., Any]) -> None:
    """As the shell expects."""
    assert trader("backtest", "--sed", "3").code == 2


def test_every_command_has_an_example(trader: Callable[..., Any]) -> None:
    """`--help` of every command shows one."""
    for name in ("run", "backtest", "halt", "reduce", "resume", "runs", "report", "trace", "watch", "doctor", "guards"):
        outcome = trader(name, "--help")
        assert outcome.code == 0
        assert f"trader {name}" in outcome.out.replace("\n", " "), name


def test_the_version_needs_no_command(trader: Callable[..., Any]) -> None:
    asked = trader("--version")
    assert (asked.code, asked.out.strip()) == (0, __version__)
