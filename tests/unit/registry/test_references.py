"""How versions are named."""

from __future__ import annotations

import pytest
import semver

from trader.core.errors import DataError
from trader.registry.references import Reference, check_name, parse_version
from trader.registry.states import Alias


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("transformer", None),
        ("transformer@1.2.0", semver.Version(1, 2, 0)),
        ("transformer@champion", Alias.CHAMPION),
        ("my-model_2.5@10.0.7", semver.Version(10, 0, 7)),
    ],
)
def test_references_read_and_write_alike(text: str, selector: object) -> None:
    """A name, a name with a version, a name with an alias; written as they were read."""
    parsed = Reference.parse(text)
    assert parsed.selector == selector
    assert str(parsed) == text


@pytest.mark.parametrize("text", ["", "@1.0.0", "../etc@1.0.0", "a/b", "-x", ".hidden", "a b", "x" * 65, "modèle"])
def test_names_that_could_leave_their_folder_are_refused(text: str) -> None:
    """A name is a folder too: no separators, no leading dot, no space, 64 characters at most."""
    with pytest.raises(DataError, match=r"model name .* is not allowed; letters, digits"):
        Reference.parse(text)


@pytest.mark.parametrize("selector", ["", "1", "1.2", "1.2.0-rc1", "1.2.0+build", "v1.2.0", "01.2.0", "newest"])
def test_other_selectors_are_refused(selector: str) -> None:
    """Only three plain numbers, or an alias."""
    with pytest.raises(DataError, match=r"is not a model reference; m, m@1.2.0 and m@champion\|challenger\|shadow"):
        Reference.parse(f"m@{selector}")


def test_longest_name() -> None:
    """64 characters are allowed."""
    assert check_name("x" * 64) == "x" * 64


def test_versions_order_by_number() -> None:
    """1.10.0 is above 1.9.0."""
    assert parse_version("1.10.0") > parse_version("1.9.0")
