"""`trader serve` refuses what cannot be, before a cluster is started, and names argument, value and what is allowed."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serve.session import SESSION_FILE, StandingSession, process_start
from trader.cli.main import app
from trader.core.errors import TraderError

SESSION = StandingSession(
    name="standing",
    pid=os.getpid(),
    pid_started=process_start(os.getpid()) or 0.0,
    address="127.0.0.1:1",
    auth_mode="disabled",
    detached=False,
    started_serve=True,
    http_url="http://127.0.0.1:8000",
    dashboard_url=None,
    model_dir="models",
    config="config.yaml",
    members=("linear@1.2.0",),
)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets how Ray authenticates; that ends with the test."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


def refused(runs_dir: Path, *args: str) -> TraderError:
    """Run a command that must fail on purpose, with nothing on stdout."""
    result = CliRunner().invoke(app, ["serve", *args, "--runs-dir", str(runs_dir)])
    assert isinstance(result.exception, TraderError), result
    assert result.stdout == ""
    return result.exception


def leave(session: StandingSession, runs_dir: Path) -> Path:
    """Write a session where the commands look for it, and return its file."""
    folder = runs_dir / "serve" / session.name
    folder.mkdir(parents=True)
    session.write(folder)
    return folder / SESSION_FILE


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("up",), 2, "--members A,B or --models DIR is needed: nothing was wanted of 'standing' before"),
        (("up", "--models", ".", "--members", "linear"), 2, "--models DIR or --members A,B is needed, not both"),
        (("up", "--weights", "1,2"), 2, "--weights, --experiment and --share need --members A,B or --models DIR"),
        (("up", "--members", "linear", "--weights", "1,x"), 2, "--weights '1,x': 1 numbers are needed"),
        (("up", "--members", "linear", "--share", ".5"), 2, "share=0.5 needs an experiment"),
        (("apply",), 2, "--members A,B or --models DIR is needed"),
        (("apply", "--members", "linear"), 2, "model 'linear' does not exist"),
        (("up", "--models", "/no/such"), 2, "--models /no/such: no such folder"),
        (("up", "--models", "a", "--port", "65536"), 2, "serve.port"),
        (("up", "--models", "a", "--replicas", "0"), 2, "serve.replicas"),
        (("up", "--models", "a", "--name", "../x"), 2, "--name '../x' is not allowed; a-z, 0-9 and '-' are"),
        (
            ("up", "--models", "a", "--address", "here"),
            2,
            "--address 'here' is not allowed; local, auto or HOST:PORT is",
        ),
        (("up", "--models", "a", "--detach"), 2, "--detach needs a cluster to be left on: --address auto or HOST:PORT"),
        (("up", "--members", "linear@1.2.0"), 2, "model 'linear' does not exist"),
        (("status",), 1, "'standing' is not up: .* has no session; for one elsewhere, give --address HOST:PORT"),
        (("status", "--address", "local"), 2, "--address 'local' is not allowed; auto or HOST:PORT is"),
        (("down",), 1, "'standing' is not up"),
        (("down", "--address", "127.0.0.1:1"), 1, "no Ray cluster answers at '127.0.0.1:1': Connection refused"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, args: tuple[str, ...], code: int, message: str) -> None:
    """What is wrong, with exit code 2 where the command line is, and 1 where the world is."""
    error = refused(tmp_path, *args)
    assert error.exit_code == code
    with pytest.raises(TraderError, match=message):
        raise error


def test_changed_file_starts_nothing(tmp_path: Path, model_dir: Path) -> None:
    """The file that is not the one saved is named."""
    models = shutil.copytree(model_dir, tmp_path / "models")
    file = next(models.glob("*/model.json"))
    file.write_text(file.read_text() + " ", encoding="utf-8")
    error = refused(tmp_path, "up", "--models", str(models))
    assert file.name in str(error)
    assert error.exit_code == 1


def test_taken_port_starts_nothing(tmp_path: Path, model_dir: Path) -> None:
    """A port that another process listens on is named, before a cluster is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        error = refused(tmp_path, "up", "--models", str(model_dir), "--port", str(port))
    assert f"serve.port={port} is taken by another process" in str(error)


def test_what_is_up_is_not_replaced(tmp_path: Path, model_dir: Path) -> None:
    """A second `up` says what runs, who holds it and what it serves."""
    leave(SESSION, tmp_path)
    error = refused(tmp_path, "up", "--models", str(model_dir))
    assert f"up at http://127.0.0.1:8000, held by process {os.getpid()}, and serves linear@1.2.0" in str(error)


def test_session_of_a_dead_process_is_forgotten(tmp_path: Path) -> None:
    """The number of the process is another's by now and its cluster is gone: `down` says so and ends nobody."""
    file = leave(StandingSession(**SESSION.to_dict() | {"pid_started": 1.0}), tmp_path)
    result = CliRunner().invoke(app, ["serve", "down", "--json", "--runs-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert "gone already, with its cluster at 127.0.0.1:1" in result.stdout
    assert not file.exists()


def test_session_survives_its_file(tmp_path: Path) -> None:
    """What is written reads back equal; what is no session is named."""
    SESSION.write(tmp_path)
    assert StandingSession.read(tmp_path) == SESSION
    (tmp_path / SESSION_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(TraderError, match="is not a session"):
        StandingSession.read(tmp_path)
