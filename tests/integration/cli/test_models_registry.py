"""`trader models`: what is registered, and decisions with who and why."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trader.registry import Environment, Lineage, Registry
from trader.settings import RegistrySettings
from trader.storage import Store

Trader = Callable[..., Any]
COMMANDS = ("list", "show", "compare", "verify", "promote", "rollback", "archive", "acknowledge", "alias", "cleanup")


@pytest.fixture
def trader(trader: Trader, tmp_path: Path) -> Trader:
    """The command line in a folder whose store has three versions of `linear`; the last is SUSPECT."""
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "model.json").write_text('{"name": "linear"}')
    (tmp_path / "runs").mkdir()
    with Store.open(f"sqlite:///{tmp_path / 'runs' / 'trader.db'}") as store:
        registry = Registry.of(store, RegistrySettings())
        for number, horizon in enumerate((1, 5, 5)):
            registry.register(
                "linear",
                tmp_path / "saved",
                lineage=Lineage(
                    data_fingerprint="f" * 64,
                    settings={"models": {"horizon": horizon}},
                    seed=7,
                    environment=Environment({"numpy": "2.0"}),
                ),
                report={
                    "score": {"hit_rate": 0.51, "folds": list(range(20))},
                    "suspect": ["IC"] if number == 2 else [],
                },
                metrics={"ic": 0.01 * (number + 1), "ic_low": 0.0, "ic_high": 0.05},
                who="ada",
                why=f"version {number}",
            )
    return trader


def _json(outcome: Any) -> Any:
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def _error(outcome: Any, code: int) -> str:
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("error")]
    assert outcome.code == code, outcome.err
    assert "Traceback" not in outcome.err
    return str(line)


def test_list(trader: Trader) -> None:
    """Newest first, as a table and as JSON; by state, and no more than asked for."""
    outcome = trader("models", "list")
    assert outcome.code == 0
    assert outcome.out.index("linear@1.2.0") < outcome.out.index("linear@1.0.0")
    assert "STAGING, SUSPECT" in outcome.out
    assert "ic 0.03" in outcome.out
    assert "ic_low" not in outcome.out
    found = _json(trader("models", "list", "linear", "--limit", "2", "--json"))
    assert [version["ref"] for version in found] == ["linear@1.2.0", "linear@1.1.0"]
    assert _json(trader("models", "list", "--state", "production", "--json")) == []


def test_another_store(trader: Trader, tmp_path: Path) -> None:
    """`--store` names another database."""
    assert _json(trader("models", "list", "--store", f"sqlite:///{tmp_path / 'other.db'}", "--json")) == []


def test_show(trader: Trader) -> None:
    """Report, lineage and history; long lists are cut in the table and whole in JSON."""
    outcome = trader("models", "show", "linear@1.2.0")
    assert outcome.code == 0, outcome.err
    for text in ("score.hit_rate", "0.51", "… (20)", "data_fingerprint", "models.horizon", "TRAINING → STAGING", "ada"):
        assert text in outcome.out, text
    found = _json(trader("models", "show", "linear@1.2.0", "--json"))
    assert found["report"]["score"]["folds"] == list(range(20))
    assert found["lineage"]["settings"] == {"models": {"horizon": 5}}
    assert found["environment"] == {"numpy": "2.0"}
    assert [entry["after"] for entry in found["history"]] == ["TRAINING", "STAGING"]


def test_compare(trader: Trader) -> None:
    """Intervals, and the settings that differ."""
    outcome = trader("models", "compare", "linear@1.0.0", "linear@1.1.0")
    for text in ("0.01 [0, 0.05]", "0.02 [0, 0.05]", "intervals touch", "models.horizon", "lineage: no difference"):
        assert text in outcome.out, text
    found = _json(trader("models", "compare", "linear@1.0.0", "linear@1.1.0", "--json"))
    assert found["settings"] == {"models.horizon": [1, 5]}
    assert found["metrics"][0]["apart"] is False


def test_verify(trader: Trader, tmp_path: Path) -> None:
    """A changed file is named and gives exit code 1; the others are still checked."""
    assert trader("models", "verify").out.count("whole") == 3
    (path,) = (tmp_path / "models" / "linear").glob("1.1.0-*/model.json")
    path.write_text("{}")
    outcome = trader("models", "verify", "--json")
    assert outcome.code == 1
    assert [found["whole"] for found in json.loads(outcome.out)] == [True, False, True]
    assert "model.json was changed" in _error(outcome, 1)
    assert trader("models", "verify", "linear@1.0.0").code == 0


def test_promote_rollback_archive(trader: Trader) -> None:
    """Each says what changed; the store keeps who and why."""
    outcome = trader("models", "promote", "linear@1.0.0", "--why", "first")
    assert (outcome.code, outcome.err) == (0, "linear champion: - → 1.0.0\nlinear@1.0.0 is now PRODUCTION\n")
    moved = _json(trader("models", "promote", "linear@1.1.0", "--why", "better", "--expected", "1.0.0", "--json"))
    assert (moved["before"], moved["after"]) == ("1.0.0", "1.1.0")
    outcome = trader("models", "rollback", "linear", "--why", "drawdown", "--who", "grace")
    assert outcome.err.splitlines() == ["linear champion: 1.1.0 → 1.0.0", "linear@1.1.0 is now STAGING"]
    outcome = trader("models", "archive", "linear@1.1.0", "--why", "lost")
    assert outcome.err == "linear@1.1.0: STAGING → RETIRED\n"
    history = _json(trader("models", "show", "linear@1.1.0", "--json"))["history"]
    said = [(entry["after"], entry["who"], entry["why"]) for entry in history if entry["what"] == "state"]
    assert said[2:] == [
        ("PRODUCTION", getpass.getuser(), "better"),
        ("STAGING", "grace", "drawdown"),
        ("RETIRED", getpass.getuser(), "lost"),
    ]


def test_suspect_is_refused_until_acknowledged(trader: Trader) -> None:
    """The refusal says which command acknowledges."""
    message = _error(trader("models", "promote", "linear@1.2.0", "--why", "wow"), 1)
    assert "trader models acknowledge linear@1.2.0 --why" in message
    outcome = trader("models", "acknowledge", "linear@1.2.0", "--why", "planted")
    assert outcome.err == "linear@1.2.0: STAGING, SUSPECT, acknowledged\n"
    assert trader("models", "promote", "linear@1.2.0", "--why", "wow").code == 0


def test_aliases(trader: Trader) -> None:
    """An alias is given, given on, guarded, and taken off."""
    assert trader("models", "alias", "linear", "challenger", "1.0.0", "--why", "A/B").code == 0
    assert trader("models", "alias", "linear", "challenger", "1.1.0", "--why", "A/B").code == 0
    guarded = ("models", "alias", "linear", "challenger", "1.2.0", "--why", "A/B", "--expected")
    assert "is 1.1.0, not 1.0.0" in _error(trader(*guarded, "1.0.0"), 1)
    assert "is 1.1.0, not nobody" in _error(trader(*guarded, "none"), 1)
    outcome = trader("models", "alias", "linear", "challenger", "none", "--why", "over")
    assert outcome.err == "linear challenger: 1.1.0 → -\n"


def test_cleanup(trader: Trader, tmp_path: Path) -> None:
    """A dry run changes nothing; the real one says why the rest stays."""
    planned = _json(trader("models", "cleanup", "--keep", "1", "--dry-run", "--json"))
    assert planned["removed"] == ["linear@1.1.0", "linear@1.0.0"]
    assert len(list((tmp_path / "models" / "linear").iterdir())) == 3
    outcome = trader("models", "cleanup", "--keep", "1")
    assert "one of the newest 1" in outcome.out
    assert len(list((tmp_path / "models" / "linear").iterdir())) == 1
    assert "no artefact" in trader("models", "list").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "liner"), "did you mean 'linear'?"),
        (("show", "linear@2.0.0"), "the newest of 3 versions are 1.2.0, 1.1.0, 1.0.0"),
        (("show", "linear@champoin"), "did you mean 'champion'?"),
        (("list", "--state", "stagin"), "did you mean 'STAGING'?"),
        (("promote", "linear", "--why", " "), "why is empty"),
    ],
)
def test_bad_input(trader: Trader, arguments: tuple[str, ...], words: str) -> None:
    """One line that names the nearest, exit code 2."""
    assert words in _error(trader("models", *arguments), 2)


@pytest.mark.parametrize("command", ["promote", "rollback", "archive", "acknowledge"])
def test_why_is_needed(trader: Trader, command: str) -> None:
    """A decision without a reason is bad usage."""
    outcome = trader("models", command, "linear")
    assert outcome.code == 2
    assert "--why" in outcome.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(trader: Trader, command: str) -> None:
    """Every command shows one."""
    outcome = trader("models", command, "--help")
    assert outcome.code == 0
    assert f"Example: trader models {command}" in outcome.out
