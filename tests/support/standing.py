"""What `trader serve up` is tried with from outside: registered versions, and a cluster that can be killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tests.support.command import environment
from trader.models.base import create
from trader.registry import Lineage, Registry
from trader.settings import RegistrySettings
from trader.storage import Store

__all__ = ["NAMES", "Head", "free_port", "register", "wait_for_session"]

NAMES = ("momentum_252_21", "return_5d")
_START_TIMEOUT_S = 180.0


def register(folder: Path, *kinds: str) -> None:
    """Register small models in a store of their own; each is fitted on other rows, the first is champion."""
    with Store.open(f"sqlite:///{folder}/trader.db") as store:
        registry = Registry.of(store, RegistrySettings(artifacts=str(folder / "artifacts")))
        for n, kind in enumerate(kinds):
            saved = folder / f"model-{n}"
            saved.mkdir()
            rows = np.random.default_rng(n).normal(size=(200, 2))
            create(kind).fit(rows, rows[:, 0] - n * rows[:, 1], feature_names=NAMES).save(saved)
            lineage = Lineage(data_fingerprint="f", settings={}, seed=1)
            registry.register(kind, saved, lineage=lineage, report={}, metrics={}, who="test", why="test")
        registry.promote(f"{kinds[0]}@1.0.0", who="test", why="test")


def wait_for_session(process: subprocess.Popen[str], file: Path) -> dict[str, Any]:
    """Return the session of an application that has become ready."""
    deadline = time.monotonic() + 480
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    session: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return session


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Head:
    """A cluster by `ray start --head`, which comes back at the same address after it was killed.

    Parameters
    ----------
    folder : Path
        For its logs; of a short path, for a socket's may not exceed 107 characters.
    **extra : str
        For its environment.
    """

    def __init__(self, folder: Path, **extra: str) -> None:
        self._folder = folder
        self._extra = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"} | extra
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._processes: list[psutil.Process] = []

    def start(self) -> None:
        """Return when it can be joined."""
        sizes = ["--num-cpus=3", "--object-store-memory=100000000", "--include-dashboard=false"]
        where = [f"--port={self._port}", "--node-ip-address=127.0.0.1", f"--temp-dir={self._folder}"]
        started = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", *where, *sizes],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(**self._extra),
        )
        self._processes = [psutil.Process(started.pid)]
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not any(_is_raylet(child) for child in self._children()):
            assert started.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL for the control store, the raylet and all they started, at once."""
        for process in [*self._children(), *self._processes]:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        psutil.wait_procs(self._processes)
        self._processes = []

    def _children(self) -> list[psutil.Process]:
        return [child for process in self._processes for child in process.children(recursive=True)]


def _is_raylet(process: psutil.Process) -> bool:
    try:
        return bool(process.name() == "raylet")
    except psutil.NoSuchProcess:  # it had something short to do
        return False
