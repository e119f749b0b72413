"""Precedence, presets and messages of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from trader.core.errors import NotFoundError, SettingsError
from trader.settings import PRESETS, load_settings


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid(preset: str) -> None:
    """Every file of config/ loads."""
    assert load_settings(preset).run.seed >= 0


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments beat the environment, which beats the file, which beats the preset, which beats defaults."""
    config = tmp_path / "own.yaml"
    config.write_text("run: {seed: 2, trials: 3}\nmodels: {n_splits: 9}\n")
    monkeypatch.setenv("TRADER_RUN__SEED", "5")
    loaded = load_settings("ci", config, {"models": {"horizon": 7}})
    assert (loaded.run.seed, loaded.run.trials) == (5, 3)
    assert (loaded.models.n_splits, loaded.models.horizon, loaded.models.train_end) == (9, 7, "2015-12-31")
    assert load_settings("ci", config, {"run": {"seed": 1}}).run.seed == 1


def test_none_means_not_given() -> None:
    """An option that was left out does not overwrite."""
    assert load_settings("ci", None, {"models": {"train_end": None}}).models.train_end == "2015-12-31"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"risk": {"max_gros": 1}}, "risk.max_gros is unknown; did you mean 'max_gross'"),
        ({"rsk": {"max_gross": 1}}, "rsk is unknown; did you mean 'risk'"),
        ({"run": {"seed": -1}}, r"run.seed=-1: input should be greater"),
        ({"bars": {"kind": "range"}}, "bars.kind='range'"),
    ],
)
def test_bad_values_name_the_key(overrides: dict[str, dict[str, object]], message: str) -> None:
    """The message holds the key, the value and what is allowed."""
    with pytest.raises(SettingsError, match=message):
        load_settings("ci", None, overrides)


def test_unknown_environment_key_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable does not pass in silence."""
    monkeypatch.setenv("TRADER_RISK__MAX_LEVERAGE", "2")
    with pytest.raises(SettingsError, match=r"risk\.max_leverage"):
        load_settings()


def test_unknown_preset_and_missing_file() -> None:
    """Both name what is allowed or missing."""
    with pytest.raises(SettingsError, match="allowed are ci, demo, production"):
        load_settings("live")
    with pytest.raises(NotFoundError, match=r"nowhere\.yaml does not exist"):
        load_settings(config=Path("nowhere.yaml"))


@pytest.mark.parametrize("text", ["a: [1,", "just text", "\x00"])
def test_unreadable_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    """Broken files are refused with one line that names them."""
    config = tmp_path / "bad.yaml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=r"bad\.yaml") as caught:
        load_settings(config=config)
    assert "\n" not in str(caught.value)


def test_settings_are_frozen() -> None:
    """Nothing changes after the start."""
    with pytest.raises(ValidationError):
        load_settings("ci").run.seed = 3  # type: ignore[misc]


def test_store_is_in_the_runs_folder_unless_told(tmp_path: Path) -> None:
    """SQLite by default, a URL when given."""
    assert load_settings(None, None, {"run": {"runs_dir": tmp_path}}).store_url == f"sqlite:///{tmp_path}/trader.db"
    url = "postgresql+psycopg://h/d"
    assert load_settings(None, None, {"store": {"url": url}}).store_url == url
