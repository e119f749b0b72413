"""The application as a file that `serve deploy` accepts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from ray.serve.schema import ServeDeploySchema

from serve.app import AppArgs
from serve.session import StandingSession
from trader.core.errors import UserError

__all__ = ["deploy_config", "keep_files", "write_config"]


def deploy_config(args: AppArgs, *, name: str, host: str, port: int) -> dict[str, Any]:
    """Return the application as `serve deploy` and `PUT /api/serve/applications/` take it.

    Nothing secret is in it: a store URL with a password is left out, and tokens are never written.
    """
    if args.store_url is not None and urlsplit(args.store_url).password:
        args = args.model_copy(update={"store_url": None})
    application = {
        "name": name,
        "route_prefix": "/",
        "import_path": "serve.app:build_app",
        "args": args.model_dump(mode="json", exclude_defaults=True),
    }
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": host, "port": port},
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
        "applications": [application],
    }


def keep_files(folder: Path, args: AppArgs, members: tuple[str, ...], *, name: str) -> Path:
    """Let the files of a standing application say what it serves now; return the one for `serve deploy`."""
    file = folder.resolve() / "config.yaml"
    session = StandingSession.read(folder)
    if session is not None:
        url = urlsplit(session.http_url)
        write_config(deploy_config(args, name=name, host=url.hostname or "", port=url.port or 0), file)
        dataclasses.replace(session, model_dir=str(args.model_dir), members=members).write(folder)
    return file


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
