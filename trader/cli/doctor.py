"""`trader doctor`: looks at the machine and the installation and says what to do."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Literal

import psutil
import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, out, print_json, read_settings
from trader.core.errors import TraderError
from trader.settings import Settings

__all__ = ["Finding", "examine", "register"]

_MIN_MEMORY_GB = 4.0
_MIN_DISK_GB = 2.0
_MIN_SHM_MB = 256
_PACKAGES = {"ray": "2.60.0", "torch": "2.13.0"}
_IMPORTS = ("numba", "pyarrow", "skfolio", "sklearn", "sqlalchemy", "structlog")


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was seen, and what to do about it where it is not `ok`."""

    check: str
    status: Literal["ok", "warning", "failed"]
    seen: str
    advice: str = ""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", help=doctor.__doc__)(doctor)


def doctor(
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check machine and installation; exit 1 if something would keep a run from working.

    Example: trader doctor --preset demo
    """
    findings = list(examine(read_settings(preset, config, assignments)))
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        table = Table("check", "", "seen", "what to do")
        marks = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failed": "[red]failed[/]"}
        for finding in findings:
            table.add_row(finding.check, marks[finding.status], finding.seen, finding.advice)
        out.print(table)
    if any(finding.status == "failed" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield the finding of every check."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _machine,
        _disk,
        _ports,
        _store,
        _redis,
        _host,
    )
    for check in checks:
        yield from check(settings)


def _python(_settings: Settings) -> Iterator[Finding]:
    version = platform.python_version()
    good = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield Finding("python", "ok" if good else "failed", version, "" if good else "install Python 3.11 or 3.12")


def _packages(_settings: Settings) -> Iterator[Finding]:
    for name, wanted in _PACKAGES.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "failed", "not installed", "run make install")
            continue
        same = version.split("+")[0] == wanted
        advice = "" if same else f"tested with {wanted}: run make install"
        yield Finding(name, "ok" if same else "warning", version, advice)
    broken = []
    for name in _IMPORTS:
        try:
            importlib.import_module(name)
        except ImportError as error:
            broken.append(f"{name}: {error}")
    status: Literal["ok", "failed"] = "failed" if broken else "ok"
    yield Finding("imports", status, "; ".join(broken) or ", ".join(_IMPORTS), "run make install" if broken else "")


def _machine(_settings: Settings) -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    yield Finding("cores", "ok" if cores > 1 else "warning", str(cores), "" if cores > 1 else "two or more are better")
    memory = psutil.virtual_memory().available / 2**30
    enough = memory >= _MIN_MEMORY_GB
    advice = "" if enough else f"a run wants {_MIN_MEMORY_GB:g} GB free; lower ray.shards or close programs"
    yield Finding("memory", "ok" if enough else "warning", f"{memory:.1f} GB free", advice)
    shm = shutil.disk_usage("/dev/shm").free >> 20  # noqa: S108 - where Ray keeps its object store
    enough = shm >= _MIN_SHM_MB
    advice = "" if enough else f"Ray's object store wants {_MIN_SHM_MB} MB in /dev/shm; in Docker use --shm-size"
    yield Finding("shared memory", "ok" if enough else "warning", f"{shm} MB free", advice)


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.run.runs_dir
    existing = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free / 2**30
    except OSError as error:
        yield Finding("runs folder", "failed", f"{existing}: {error.strerror}", "set run.runs_dir to a folder you own")
        return
    enough = free >= _MIN_DISK_GB
    advice = "" if enough else f"keep {_MIN_DISK_GB:g} GB free"
    yield Finding("runs folder", "ok" if enough else "warning", f"{folder}, {free:.1f} GB free", advice)


def _ports(settings: Settings) -> Iterator[Finding]:
    wanted = [("http port", settings.serve.host, settings.serve.port, "serve.port")]
    if settings.ray.dashboard and settings.ray.address == "local":
        wanted.append(("dashboard port", "127.0.0.1", settings.ray.dashboard_port, "ray.dashboard_port"))
    for check, host, port, setting in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                advice = f"stop what uses it, or set {setting}=0"
                yield Finding(check, "failed", f"{host}:{port} {error.strerror}", advice)
            else:
                yield Finding(check, "ok", f"{host}:{port} is free")


def _store(settings: Settings) -> Iterator[Finding]:
    from trader.storage import Store, redact

    shown = redact(settings.store_url)
    try:
        with Store.open(settings.store_url) as store:
            count = len(store.runs())
    except TraderError as error:
        yield Finding("store", "failed", f"{shown}: {error}", "check store.url and that its server runs")
    else:
        yield Finding("store", "ok", f"{shown}, {count} runs")


def _redis(settings: Settings) -> Iterator[Finding]:
    url = settings.telemetry.redis_url
    if url is None:
        yield Finding("redis", "ok", "not configured")
        return
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        yield Finding("redis", "failed", str(error), "check telemetry.redis_url and that its server runs")
    else:
        yield Finding("redis", "ok", "answers")


def _host(settings: Settings) -> Iterator[Finding]:
    local = settings.serve.host in ("127.0.0.1", "localhost", "::1")
    advice = "" if local else "anyone who reaches the port may ask for predictions; put a proxy with TLS before it"
    yield Finding("http host", "ok" if local else "warning", settings.serve.host, advice)
