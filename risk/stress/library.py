"""The scenarios that come with the package, and a user's own."""

from __future__ import annotations

import difflib
import functools
import importlib.resources
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from risk.stress.scenario import KINDS, Scenario
from trader.core.errors import DataError, NotFoundError

__all__ = ["choose", "library", "read_scenarios", "sources"]

_SOURCES = "sources.yaml"


@functools.cache
def library() -> tuple[Scenario, ...]:
    """Return the scenarios that come with the package: history from 1973 on, then hypothetical ones."""
    folder = importlib.resources.files("risk.stress") / "library"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    found: list[Scenario] = []
    for file in files:
        if file.name != _SOURCES:
            found += _parse(file.read_text(encoding="utf-8"), file.name)
    return tuple(sorted(found, key=lambda scenario: KINDS.index(scenario.kind)))


@functools.cache
def sources() -> dict[str, str]:
    """Return what the names of the library's sources stand for."""
    text = (importlib.resources.files("risk.stress") / "library" / _SOURCES).read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=_loader()))  # noqa: S506 - a safe loader


def read_scenarios(path: Path) -> tuple[Scenario, ...]:
    """Read a YAML file that holds a list of scenarios.

    Raises
    ------
    NotFoundError, DataError
        If it cannot be read, is no list, or a scenario is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFoundError(f"scenarios {path} cannot be read: {error.strerror or error}") from error
    return tuple(_parse(text, str(path)))


def choose(names: Sequence[str], own: Iterable[Scenario] = ()) -> tuple[Scenario, ...]:
    """Return scenarios by name or kind, in the library's order; `all` is all of them.

    One of the user's `own` takes the place of the library's of the same name.

    Raises
    ------
    NotFoundError
        If a name is neither.
    """
    mine = {scenario.name: scenario for scenario in own}
    known = {scenario.name: scenario for scenario in library()} | mine
    wanted: set[str] = set()
    for name in names:
        found = [key for key, scenario in known.items() if name in ("all", key, scenario.kind)]
        if not found:
            near = difflib.get_close_matches(name, [*known, *KINDS], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise NotFoundError(f"scenario {name!r} is not known{hint}; --list names them, all and kinds are allowed")
        wanted.update(found)
    return tuple(scenario for name, scenario in known.items() if name in wanted)


def _parse(text: str, name: str) -> list[Scenario]:
    try:
        content: Any = yaml.load(text, Loader=_loader())  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise DataError(f"scenarios {name} are no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, list) or not all(isinstance(fields, dict) for fields in content):
        raise DataError(f"scenarios {name} hold no list of mappings with name, title, kind, shocks and source")
    found = [Scenario.of(fields) for fields in content]
    twice = sorted({one.name for one in found if sum(other.name == one.name for other in found) > 1})
    if twice:
        raise DataError(f"scenarios {name} name {', '.join(twice)} more than once")
    return found


def _loader() -> Any:
    """Return the safe loader, in C where PyYAML was built with it: ten times as fast."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
