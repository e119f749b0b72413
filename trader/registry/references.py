"""How a version is named: `transformer`, `transformer@1.2.0`, `transformer@champion`."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable
from typing import Literal

import semver

from trader.core.errors import DataError
from trader.registry.states import Alias

__all__ = ["FIRST_VERSION", "Bump", "Reference", "check_name", "closest", "parse_version"]

Bump = Literal["major", "minor", "patch"]

FIRST_VERSION = semver.Version(1, 0, 0)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference; no selector asks for the champion, or the highest version in staging without one.

    >>> Reference.parse("transformer@champion")
    Reference(name='transformer', selector=<Alias.CHAMPION: 'champion'>)
    >>> str(Reference.parse("transformer@1.2.0"))
    'transformer@1.2.0'
    """

    name: str
    selector: Alias | semver.Version | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference; anything else raises DataError naming what is allowed."""
        name, at, selector = text.partition("@")
        check_name(name)
        if not at:
            return cls(name)
        if selector in set(Alias):
            return cls(name, Alias(selector))
        try:
            return cls(name, parse_version(selector))
        except DataError:
            raise DataError(
                f"{text!r} is not a model reference; {name}, {name}@1.2.0 and {name}@{'|'.join(Alias)} "
                f"are allowed{closest(selector, Alias)}"
            ) from None

    def __str__(self) -> str:
        return self.name if self.selector is None else f"{self.name}@{self.selector}"


def check_name(name: str) -> str:
    """Return a name of models that is fit for a folder too; others raise DataError."""
    if not _NAME.fullmatch(name):
        raise DataError(f"model name {name!r} is not allowed; letters, digits, '.', '_' and '-' are, 64 at most")
    return name


def parse_version(text: str) -> semver.Version:
    """Read a semantic version of three numbers; anything else raises DataError.

    >>> parse_version("1.2.0").bump_minor()
    Version(major=1, minor=3, patch=0, prerelease=None, build=None)
    """
    try:
        version = semver.Version.parse(text)
    except ValueError:
        raise DataError(f"version {text!r} is not of the form 1.2.0") from None
    if version.prerelease or version.build:
        raise DataError(f"version {text!r} has more than three numbers; the form 1.2.0 is allowed")
    return version


def closest(given: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest known name, or nothing.

    >>> closest("champoin", Alias)
    "; did you mean 'champion'?"
    """
    near = difflib.get_close_matches(given, [str(name) for name in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
