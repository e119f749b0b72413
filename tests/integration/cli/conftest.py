"""The command line in this process: same entry point, no second interpreter."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def trader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run a command in an empty folder and return its exit code and output."""
    from trader.cli.common import out
    from trader.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(out, "width", 200)  # it looked at the variable when it was made

    def run(*args: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["trader", *args])
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else int(bool(stopped.code))
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
