"""A peer's script takes its turns over pipes; whatever goes wrong with it is a ContenderError that says why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import environments
from benchmarks.environments import PEERS, Peer, ensure_environment
from benchmarks.sampling import ContenderError, alternate

WORKING = """
import time
from turns import take_turns

def prepare():
    print("prints of the peer do not disturb its answers")
    return 0.02

take_turns(time.sleep, prepare=prepare, work=7, libraries=["pip"], note="sleeps")
"""


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of peers that run in this environment."""
    (tmp_path / "turns.py").write_text((PEERS / "turns.py").read_text())
    monkeypatch.setattr(environments, "PEERS", tmp_path)
    monkeypatch.setattr(environments, "ensure_environment", lambda _name: Path(sys.executable))
    return tmp_path


def test_a_peer_takes_its_turns(peers: Path) -> None:
    """It reports work, versions and note once, and times each turn itself."""
    (peers / "script.py").write_text(WORKING)
    with Peer("any", "script.py") as peer:
        (outcome,) = alternate([peer.contender("sleeper")], repeats=2)
    assert (outcome.work, outcome.note, outcome.error) == (7, "sleeps", None)
    assert "pip" in outcome.versions
    assert 0.02 <= outcome.wall_s < 1.0
    assert outcome.cpu_s < 0.02


def test_a_peer_that_does_not_start_says_why(peers: Path) -> None:
    """The last line of its error output is the reason."""
    (peers / "script.py").write_text("import a_module_that_does_not_exist")
    with pytest.raises(ContenderError, match=r"script\.py ended with code 1: .*a_module_that_does_not_exist"):
        Peer("any", "script.py")


def test_a_peer_that_dies_in_its_turn_drops_out(peers: Path) -> None:
    """Its row carries the reason and no samples."""
    (peers / "script.py").write_text(WORKING.replace("return 0.02", "raise SystemExit('out of memory')"))
    with Peer("any", "script.py") as peer:
        (outcome,) = alternate([peer.contender("sleeper")], repeats=2)
    assert outcome.error is not None
    assert outcome.error.endswith("out of memory")
    assert outcome.samples == ()


def test_a_peer_that_speaks_out_of_turn_is_refused(peers: Path) -> None:
    """Anything but JSON on its output is named."""
    (peers / "script.py").write_text("print('hello')")
    with pytest.raises(ContenderError, match="'hello', which is not JSON"):
        Peer("any", "script.py")


@pytest.mark.slow
def test_an_environment_that_cannot_be_built_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's own error is the reason, and the environment does not count as built."""
    (tmp_path / "broken.txt").write_text("/no/such/package-1.0.whl\n")
    monkeypatch.setattr(environments, "PEERS", tmp_path)
    monkeypatch.setattr(environments, "_ENVIRONMENTS", tmp_path / "venvs")
    with pytest.raises(ContenderError, match="environment of broken cannot be built: ERROR"):
        ensure_environment("broken")
    assert not (tmp_path / "venvs" / "broken" / "installed.txt").exists()


def test_every_pin_of_a_peer_is_exact() -> None:
    """A measurement can be repeated on the same versions."""
    lines = [line for file in PEERS.glob("*.txt") for line in file.read_text().splitlines() if line]
    assert lines
    assert [line for line in lines if "==" not in line] == []
