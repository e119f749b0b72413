"""Options and helpers that several commands share."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from trader.core.errors import SettingsError
from trader.settings import Settings, load_settings

__all__ = [
    "ConfigOption",
    "JsonOption",
    "PresetOption",
    "SetOption",
    "err",
    "out",
    "parse_literal",
    "print_json",
    "read_settings",
    "stdout_for_results",
]

_EXPONENT = re.compile(r"[+-]?\d+[eE][+-]?\d+")

out = Console()
err = Console(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else, to stdout.")]
PresetOption = Annotated[str | None, typer.Option("--preset", help="A file of config/: ci, demo or production.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A YAML file of settings.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any setting, e.g. --set risk.max_gross=2."),
]


def read_settings(
    preset: str | None,
    config: Path | None,
    assignments: Sequence[str] | None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Return the settings that the options of a command add up to.

    Raises
    ------
    SettingsError
        If an assignment is not of the form `section.field=value`, or its key or value is not allowed.
    """
    merged: dict[str, dict[str, Any]] = {section: dict(fields) for section, fields in (overrides or {}).items()}
    for text in assignments or ():
        key, equals, value = text.partition("=")
        section, dot, field = key.strip().partition(".")
        if not (equals and dot and field):
            raise SettingsError(f"--set {text!r} is not of the form section.field=value")
        target = merged.setdefault(section, {})
        *parents, leaf = field.split(".")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[leaf] = parse_literal(value)
    return load_settings(preset, config, merged)


def parse_literal(text: str) -> Any:
    """Read lists, numbers, truth values and null as YAML does; anything else, dates too, stays text.

    >>> parse_literal("[1, 2]"), parse_literal("1e-3"), parse_literal("2015-12-31")
    ([1, 2], 0.001, '2015-12-31')
    """
    import yaml

    if _EXPONENT.fullmatch(text.strip()):  # YAML 1.1 wants a point before the exponent
        return float(text)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, bool | int | float | list | None) and text.strip() else text


def print_json(content: Any) -> None:
    """Write one JSON document to stdout; numbers that JSON lacks become null."""
    typer.echo(orjson.dumps(_plain(content), option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())


@contextlib.contextmanager
def stdout_for_results() -> Iterator[None]:
    """Send to stderr what libraries print meanwhile: Ray tells of the death of a worker on stdout."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
