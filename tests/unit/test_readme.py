"""What the README promises exists: commands, options, files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from trader.cli.main import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^(?:\| .*`|\$ |)(trader [a-z][^`\n|]*)", README, re.MULTILINE)))
COMMANDS += sorted(set(re.findall(r"`(trader [a-z][^`\n]*)`", README)) - set(COMMANDS))


@pytest.mark.parametrize("line", COMMANDS)
def test_command_exists_with_its_options(line: str) -> None:
    """Every `trader …` in the README names a command and options that the command line has."""
    words = [word for word in shlex.split(line.replace("…", ""))[1:] if not re.fullmatch(r"[A-Z_]+", word)]
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"{line}: no command {name}"
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        if word.startswith("-"):
            assert word in options, f"{line}: no option {word}"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))))
def test_make_target_exists(target: str) -> None:
    """Every `make …` in the README is a target."""
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_link_leads_somewhere(link: str) -> None:
    """Relative links name files of the repository."""
    assert link.startswith("https://") or (ROOT / link).exists()


def test_readme_is_short() -> None:
    """It stays under 200 lines."""
    assert len(README.splitlines()) < 200
    assert len(COMMANDS) > 8
