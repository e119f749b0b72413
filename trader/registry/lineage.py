"""Where a version comes from: data, parent, code, settings, search, environment."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trader
from trader.core.errors import DataError
from trader.storage.codec import from_json, to_json

__all__ = ["Environment", "Lineage", "code_revision", "installed"]

_GIT_TIMEOUT_S = 5.0


@functools.cache
def code_revision(root: Path = Path(trader.__file__).parents[1]) -> str:
    """Return the git commit of a checkout, with `-dirty` if files differ from it; empty where `root` is none."""
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


@dataclasses.dataclass(frozen=True, slots=True)
class Environment:
    """The installed distributions, by name, and one hash for all of them.

    >>> Environment({"numpy": "2.4.0"}).digest[:12]
    '1645f52f02c1'
    """

    distributions: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of the sorted lines `name==version`."""
        lines = "\n".join(f"{name}=={version}" for name, version in sorted(self.distributions.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


@functools.cache
def installed() -> Environment:
    """Return what is installed here, names in lower case; read once a process."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # what pip left of a broken installation has none
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return Environment(dict(sorted(found.items())))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What is needed to make a version again, and to judge it.

    Parameters
    ----------
    data_fingerprint : str
        SHA-256 of the data, from the feed.
    span_ns : tuple of int, optional
        First and last stamp that training saw.
    parent : str, optional
        Reference of the version that this one was trained on from; it is never forgotten.
    settings : mapping
        All settings of the training, JSON-ready.
    seed : int
    search : str, optional
        Name of the search that found the settings.
    trials : int
        Settings tried before these were kept; deflates the Sharpe ratio.
    code_version, code_revision : str
        Of the package, and of the git commit it runs from (`-dirty` where files were changed; empty without git).
    environment : Environment
    """

    data_fingerprint: str
    settings: Mapping[str, Any]
    seed: int
    span_ns: tuple[int, int] | None = None
    parent: str | None = None
    search: str | None = None
    trials: int = 1
    code_version: str = trader.__version__
    code_revision: str = dataclasses.field(default_factory=code_revision)
    environment: Environment = dataclasses.field(default_factory=installed)

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise DataError(f"trials={self.trials}; at least 1 is needed, the one that was kept")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the environment by its digest."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return plain | {"settings": dict(self.settings), "environment": self.environment.digest}

    def to_json(self) -> str:
        """Return what `from_json` reads, beside the environment."""
        return to_json(self.to_dict())

    @classmethod
    def from_json(cls, text: str, distributions: str) -> Lineage:
        """Read what `to_json` wrote, and the environment's distributions as JSON."""
        plain = from_json(text)
        span = plain["span_ns"]
        return cls(
            **plain
            | {"span_ns": None if span is None else tuple(span), "environment": Environment(from_json(distributions))}
        )
