"""Log lines are JSON with their context, from any number of processes, and never stop a run."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from trader.core.errors import OperationError, SettingsError
from trader.telemetry.log import LogConfig, configure_logging, get_logger


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Each test begins and ends in a process that logs nowhere."""
    configure_logging(LogConfig())
    yield
    configure_logging(LogConfig())
    structlog.reset_defaults()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_time_level_event_and_context(tmp_path: Path) -> None:
    """A line says when, how grave, what, and whatever was bound, in this order."""
    path = tmp_path / "new" / "log.jsonl"
    configure_logging(LogConfig(path=path))
    log = get_logger(run_id="r1", part="decider").bind(symbol="AAPL")
    log.info("order denied", trace_id="ab", reason="gross_limit", value=1.7)
    (line,) = _lines(path)
    assert list(line)[:3] == ["ts", "level", "event"]
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "event": "order denied",
        "run_id": "r1",
        "part": "decider",
        "symbol": "AAPL",
        "trace_id": "ab",
        "reason": "gross_limit",
        "value": 1.7,
    }


def test_level_filters(tmp_path: Path) -> None:
    """What is below the level is not written."""
    path = tmp_path / "log.jsonl"
    configure_logging(LogConfig(path=path, level="warning"))
    log = get_logger()
    for write in (log.debug, log.info, log.warning, log.error):
        write("said")
    assert [line["level"] for line in _lines(path)] == ["warning", "error"]


def test_unknown_level() -> None:
    """A level that does not exist is named with those that do."""
    with pytest.raises(SettingsError, match="'loud' is unknown; allowed are debug, info, warning, error"):
        LogConfig(level="loud")  # type: ignore[arg-type]


def test_configuring_twice_changes_nothing(tmp_path: Path) -> None:
    """The same config again neither repeats lines nor truncates the file."""
    config = LogConfig(path=tmp_path / "log.jsonl")
    configure_logging(config)
    get_logger().info("one")
    configure_logging(config)
    get_logger().info("two")
    assert [line["event"] for line in _lines(tmp_path / "log.jsonl")] == ["one", "two"]


def test_loggers_follow_a_new_configuration(tmp_path: Path) -> None:
    """Loggers taken or bound before a change write to the new file."""
    early = get_logger(run_id="r1")
    configure_logging(LogConfig(path=tmp_path / "a.jsonl"))
    bound = early.bind(symbol="A")
    configure_logging(LogConfig(path=tmp_path / "b.jsonl"))
    early.info("early")
    bound.info("bound")
    assert _lines(tmp_path / "a.jsonl") == []
    assert [line["event"] for line in _lines(tmp_path / "b.jsonl")] == ["early", "bound"]


def test_without_configuration_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """A process that was not told where to log prints nothing, so that JSON on stdout stays whole."""
    structlog.reset_defaults()
    get_logger(run_id="r1").error("lost")
    assert capfd.readouterr() == ("", "")


def test_console_is_for_people(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """On a console lines are short and go to stderr; the file has JSON as well."""
    configure_logging(LogConfig(path=tmp_path / "log.jsonl", console=True))
    get_logger(part="feed").info("started", rows=3)
    out, err = capfd.readouterr()
    assert out == ""
    assert err[8:] == " info    started part=feed rows=3\n"
    assert _lines(tmp_path / "log.jsonl")[0]["rows"] == 3


def test_any_value_can_be_logged(tmp_path: Path) -> None:
    """Numpy values, paths, NaN and objects do not break a line."""
    configure_logging(LogConfig(path=tmp_path / "log.jsonl"))
    get_logger().info("odd", a=np.float64(0.5), b=np.arange(2), c=Path("/x"), d=float("nan"), e={1: {2}})
    (line,) = _lines(tmp_path / "log.jsonl")
    assert (line["a"], line["b"], line["c"], line["d"]) == (0.5, [0, 1], "/x", None)
    assert line["e"] == {"1": "{2}"}


def test_exceptions_carry_their_traceback(tmp_path: Path) -> None:
    """A logged exception has its traceback in one field of one line."""
    configure_logging(LogConfig(path=tmp_path / "log.jsonl"))
    try:
        raise ValueError("broken")
    except ValueError:
        get_logger().exception("failed")
    (line,) = _lines(tmp_path / "log.jsonl")
    assert line["level"] == "error"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: broken")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A log in an impossible place is refused, and the former log goes on."""
    configure_logging(LogConfig(path=tmp_path / "log.jsonl"))
    with pytest.raises(OperationError, match="cannot be opened"):
        configure_logging(LogConfig(path=tmp_path / "log.jsonl" / "below.jsonl"))
    get_logger().info("still here")
    assert len(_lines(tmp_path / "log.jsonl")) == 1


WRITE_MANY = """
import sys
from pathlib import Path
from trader.telemetry.log import LogConfig, configure_logging, get_logger
configure_logging(LogConfig(path=Path(sys.argv[1])))
log = get_logger(part=int(sys.argv[2]))
for number in range(300):
    log.info("line", number=number, filler="x" * (37 * number % 9000))
"""

FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from trader.telemetry.log import LogConfig, configure_logging, get_logger, lost_lines
configure_logging(LogConfig(path=Path(sys.argv[1])))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for _ in range(100):
    get_logger().info("line", filler="x" * 50)
print(lost_lines())
"""


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def test_config_travels() -> None:
    """A config is the same after the pickling that an actor's arguments go through."""
    config = LogConfig(path=Path("/x/log.jsonl"), level="debug", console=True)
    assert pickle.loads(pickle.dumps(config)) == config


def test_processes_share_a_file(tmp_path: Path) -> None:
    """Lines of several processes, longer than any buffer, do not mix and none is lost."""
    path = tmp_path / "log.jsonl"
    for child in [_start(WRITE_MANY, str(path), str(part)) for part in range(2)]:
        child.communicate()
        assert child.returncode == 0
    lines = _lines(path)
    for part in range(2):
        assert [line["number"] for line in lines if line["part"] == part] == list(range(300))


def test_a_full_disk_does_not_stop_the_run(tmp_path: Path) -> None:
    """Lines that the disk refuses are counted; the process goes on."""
    path = tmp_path / "log.jsonl"
    out, _ = _start(FILL_THE_DISK, str(path)).communicate()
    assert path.stat().st_size == 1000
    assert 80 < int(out) < 100
