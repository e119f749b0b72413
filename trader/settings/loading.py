"""Reading the settings from YAML, environment and arguments."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from trader.core.errors import NotFoundError, SettingsError
from trader.settings.sections import (
    BarSettings,
    ExecutionSettings,
    ExperimentSettings,
    FeatureSettings,
    FeedSettings,
    GateSettings,
    ModelSettings,
    RaySettings,
    RegistrySettings,
    RunSettings,
    ServeSettings,
    SizingSettings,
    StoreSettings,
    TelemetrySettings,
)
from trader.settings.sinks import SinkSettings

__all__ = ["PRESETS", "Settings", "load_settings"]

PRESETS: tuple[str, ...] = ("ci", "demo", "production")
_PRESET_FOLDER = Path(__file__).parents[2] / "config"


class _YamlValues(PydanticBaseSettingsSource):
    """The values of a YAML file, ranked below the environment."""

    values: Mapping[str, Any] = {}

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return self.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self.values)


class Settings(BaseSettings):
    """Everything a run can be told. Environment: `TRADER_SECTION__FIELD`, e.g. `TRADER_RUN__SEED=3`."""

    model_config = SettingsConfigDict(
        env_prefix="TRADER_", env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    run: RunSettings = RunSettings()
    feed: FeedSettings = FeedSettings()
    bars: BarSettings = BarSettings()
    features: FeatureSettings = FeatureSettings()
    models: ModelSettings = ModelSettings()
    sizing: SizingSettings = SizingSettings()
    execution: ExecutionSettings = ExecutionSettings()
    risk: GateSettings = GateSettings()
    store: StoreSettings = StoreSettings()
    registry: RegistrySettings = RegistrySettings()
    ray: RaySettings = RaySettings()
    serve: ServeSettings = ServeSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    sinks: SinkSettings = SinkSettings()

    @property
    def store_url(self) -> str:
        """The store's URL; by default SQLite in the runs folder."""
        return self.store.url or f"sqlite:///{self.run.runs_dir.resolve() / 'trader.db'}"


def load_settings(
    preset: str | None = None,
    config: Path | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Return validated settings.

    Parameters
    ----------
    preset : {"ci", "demo", "production"}, optional
        A file of `config/`.
    config : Path, optional
        A YAML file; its values win over the preset's.
    overrides : mapping of section to mapping of field to value, optional
        What the command line said; wins over everything. A value of None is ignored.

    Raises
    ------
    NotFoundError
        If a file does not exist.
    SettingsError
        If a file is not readable YAML, or a key or value is not allowed; the message names it.
    """
    merged: dict[str, Any] = {}
    if preset is not None:
        if preset not in PRESETS:
            raise SettingsError(f"preset={preset!r} is unknown; allowed are {', '.join(PRESETS)}")
        _merge(merged, _read_yaml(_PRESET_FOLDER / f"{preset}.yaml"))
    if config is not None:
        _merge(merged, _read_yaml(config))
    given: dict[str, Any] = {}
    for section, fields in (overrides or {}).items():
        kept = {name: value for name, value in fields.items() if value is not None}
        if kept:
            given[section] = kept

    class _Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            from_yaml = _YamlValues(settings_cls)
            from_yaml.values = merged
            return init_settings, env_settings, from_yaml

    try:
        loaded = _Loaded(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    return Settings.model_construct(**{name: getattr(loaded, name) for name in Settings.model_fields})


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise NotFoundError(f"config file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"config file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"config file {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"config file {path} holds a {type(content).__name__}; a mapping of sections is allowed")
    return content


def _merge(target: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"setting {where}={first.get('input')!r}: {first['msg'].lower()}"
    annotation: Any = Settings
    for part in first["loc"][:-1]:
        annotation = annotation.model_fields[str(part)].annotation
    near = difflib.get_close_matches(str(first["loc"][-1]), list(annotation.model_fields), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; allowed are {', '.join(annotation.model_fields)}"
    return f"setting {where} is unknown{hint}"
