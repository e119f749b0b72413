"""The file by which a standing application is found: who holds it up, on which cluster, what it serves. No Ray."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from trader.core.errors import ConflictError, OperationError, UserError

__all__ = ["SESSION_FILE", "StandingSession", "process_start", "session_folder", "starting"]

SESSION_FILE = "session.json"
_LOCK_FILE = "up.lock"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclasses.dataclass(frozen=True, slots=True)
class StandingSession:
    """A standing application.

    Parameters
    ----------
    name : str
        Of the Serve application.
    pid : int
        Process that started it, and holds it up unless it is detached.
    pid_started : float
        When that process began, in seconds since 1970: a later process of the same number is another one.
    address : str
        Of the cluster, `host:port`.
    auth_mode : str
        How the cluster authenticates, `token` or `disabled`.
    detached : bool
        It stays on the cluster without the process.
    started_serve : bool
        Ray Serve was not running on the cluster before.
    http_url : str
    dashboard_url : str, optional
        None where the cluster has none.
    model_dir : str
        Folder of the ensemble.
    config : str
        File that `serve deploy` accepts.
    members : tuple of str
        What is served, `name@version`.
    """

    name: str
    pid: int
    pid_started: float
    address: str
    auth_mode: str
    detached: bool
    started_serve: bool
    http_url: str
    dashboard_url: str | None
    model_dir: str
    config: str
    members: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether the process that started it lives."""
        return process_start(self.pid) == self.pid_started

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dataclasses.asdict(self) | {"members": list(self.members)}

    def write(self, folder: Path) -> None:
        """Put the file of this session in place, whole or not at all."""
        partial = folder / f"{SESSION_FILE}.partial"
        partial.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        partial.replace(folder / SESSION_FILE)

    @classmethod
    def read(cls, folder: Path) -> StandingSession | None:
        """Return the session of a folder, None if it has none.

        Raises
        ------
        OperationError
            If the file is not one.
        """
        file = folder / SESSION_FILE
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls(**content | {"members": tuple(content["members"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise OperationError(f"{file} is not a session of `trader serve up`: {error!r}; delete it") from error


def session_folder(runs_dir: Path, name: str) -> Path:
    """Return the folder of a standing application.

    >>> session_folder(Path("runs"), "standing").as_posix()
    'runs/serve/standing'

    Raises
    ------
    UserError
        If the name cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"--name {name!r} is not allowed; a-z, 0-9 and '-' are, at most 40, beginning with a letter")
    return runs_dir / "serve" / name


def process_start(pid: int) -> float | None:
    """Return when a process began, in seconds since 1970; None if there is none, or only what is left of it."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        began: float = process.create_time()
    except psutil.NoSuchProcess:
        return None
    return began


@contextlib.contextmanager
def starting(folder: Path) -> Iterator[None]:
    """Be the only process that starts or changes the application of this folder, which is made if need be.

    Raises
    ------
    ConflictError
        If another process is.
    UserError
        If the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserError(f"run.runs_dir: {folder} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(f"another `trader serve up` of {folder.name!r} is at work; wait for it") from None
        yield
    finally:
        os.close(lock)
