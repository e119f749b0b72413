"""The application as a file that `serve deploy` accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from ray.serve.schema import ServeDeploySchema

from serve.app import AppArgs
from trader.core.errors import UserError
from trader.settings import Settings

__all__ = ["deploy_config", "write_config"]


def deploy_config(settings: Settings, model_dir: Path, *, name: str, port: int) -> dict[str, Any]:
    """Return the application as `serve deploy` and `PUT /api/serve/applications/` take it.

    Nothing secret is in it: a store URL with a password is left out, and tokens are never written.
    """
    serve = settings.serve
    args = AppArgs.of(
        serve,
        model_dir,
        store_url=None if urlsplit(settings.store_url).password else settings.store_url,
        registry=settings.registry,
    )
    application = {
        "name": name,
        "route_prefix": "/",
        "import_path": "serve.app:build_app",
        "args": args.model_dump(mode="json", exclude_defaults=True),
    }
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": serve.host, "port": port},
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
        "applications": [application],
    }


def write_config(config: dict[str, Any], file: Path) -> None:
    """Write the config that `deploy_config` returned, if Ray Serve's own schema accepts it.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    ServeDeploySchema.model_validate(config)
    partial = file.with_suffix(".partial")
    try:
        partial.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise UserError(f"run.runs_dir: {file} cannot be written: {error.strerror}") from error
