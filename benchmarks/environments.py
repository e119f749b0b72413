"""Peers in virtual environments of their own, because their pins conflict with ours.

`.venv-peers/<name>` is built once from `benchmarks/peers/<name>.txt`. A peer's script is started there, makes
itself ready, and then does one repeat for each line it is sent, so that it takes turns with ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.sampling import Contender, ContenderError, Sample

__all__ = ["PEERS", "Peer", "ensure_environment"]

PEERS = Path(__file__).parent / "peers"
_ENVIRONMENTS = Path(__file__).parents[1] / ".venv-peers"


def ensure_environment(name: str) -> Path:
    """Return the interpreter of a peer's environment, which is built if it is not there or its pins changed.

    Raises
    ------
    ContenderError
        If it cannot be built; the message is pip's last word.
    """
    pins = (PEERS / f"{name}.txt").read_text(encoding="utf-8")
    folder = _ENVIRONMENTS / name
    python = folder / "bin" / "python"
    stamp = folder / "installed.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == pins:
        return python
    # Our pip installs into it: to give it one of its own takes many times as long as the environment itself.
    _check_call([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], name)
    install = ["install", "--quiet", "--disable-pip-version-check", "-r", str(PEERS / f"{name}.txt")]
    _check_call([sys.executable, "-m", "pip", "--python", str(python), *install], name)
    stamp.write_text(pins, encoding="utf-8")
    return python


def _check_call(command: Sequence[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise ContenderError(f"the environment of {name} cannot be built: {(errors or lines)[-1]}")


class Peer:
    """A peer's script, running in its environment and waiting for its turn.

    Parameters
    ----------
    environment : str
        Name of its pins in `benchmarks/peers`.
    script : str
        Name of its script there. It prints a JSON line when it is ready, `{"work", "versions", "note"}`, and one
        for each line it reads, `{"wall_s", "cpu_s"}`.
    arguments : sequence of str

    Raises
    ------
    ContenderError
        If the environment cannot be built or the script does not get ready.
    """

    def __init__(self, environment: str, script: str, arguments: Sequence[str] = ()) -> None:
        self._script = script
        python = ensure_environment(environment)
        self._process = subprocess.Popen(
            [str(python), str(PEERS / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        try:
            self._ready = self._read()
        except BaseException:
            self.close()
            raise

    def contender(self, name: str) -> Contender:
        """Return it as a contender."""
        ready = self._ready
        return Contender(name, "peer", int(ready["work"]), self._repeat, ready["versions"], ready["note"])

    def close(self) -> None:
        """End the script."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _repeat(self) -> Sample:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened as a pipe
        try:
            stdin.write("go\n")
            stdin.flush()
        except BrokenPipeError:
            raise self._broken() from None
        taken = self._read()
        return Sample(float(taken["wall_s"]), float(taken["cpu_s"]))

    def _read(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - opened as a pipe
        line = stdout.readline()
        if not line:
            raise self._broken()
        try:
            content: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            raise ContenderError(f"{self._script} printed {line.strip()[:200]!r}, which is not JSON") from None
        return content

    def _broken(self) -> ContenderError:
        _, errors = self._process.communicate()
        last = (errors.strip().splitlines() or ["no message"])[-1]
        return ContenderError(f"{self._script} ended with code {self._process.returncode}: {last}")
