"""The command: unknown names are refused, failures are told by the exit code, missed targets are not failures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import __main__ as command
from benchmarks.results import Result, Target


def _install(monkeypatch: pytest.MonkeyPatch, name: str, value: float | None) -> None:
    module = ModuleType(f"benchmarks.{name}")

    def run(options: object) -> Result:
        if value is None:
            raise RuntimeError("it broke")
        return Result(name, "t", "ticks", {}, (), [Target("t", "x", value, ">=", 5.0)], {"options": repr(options)})

    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(command, "BENCHMARKS", (*command.BENCHMARKS, name))


def test_a_missed_target_is_written_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0, `met` false, and machine and load beside it."""
    _install(monkeypatch, "slow", 1.0)
    assert command.main(["slow", "--quick", "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "slow.json").read_text())
    assert content["targets"][0]["met"] is False
    assert content["quick"] is True
    assert "quick=True" in content["figures"]["options"]
    assert content["machine"]["logical_cores"] >= 1
    assert len(content["load_average_before"]) == 3


def test_a_broken_benchmark_fails_but_the_next_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the reason on stderr, no file of the broken one."""
    _install(monkeypatch, "broken", None)
    _install(monkeypatch, "sound", 9.0)
    assert command.main(["broken", "sound", "--out", str(tmp_path)]) == 1
    assert "it broke" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["sound.json"]


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        command.main(["bars_kernal"])
    assert stopped.value.code == 2
    assert "unknown benchmark bars_kernal; allowed are bars_kernel" in capsys.readouterr().err


def test_importing_the_benchmarks_does_nothing() -> None:
    """No output, no file, no heavy library, and every named benchmark has a module."""
    code = (
        "import sys, benchmarks, benchmarks.__main__ as m\n"
        "from importlib.util import find_spec\n"
        "assert all(find_spec(f'benchmarks.{name}') for name in m.BENCHMARKS)\n"
        "assert not {'ray', 'numba', 'pandas'} & set(sys.modules), sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
