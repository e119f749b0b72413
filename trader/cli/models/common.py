"""Options and texts that the commands of `trader models` share."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trader.cli.common import read_settings
from trader.settings import Settings

if TYPE_CHECKING:
    from trader.registry import ModelVersion, Registry

__all__ = [
    "RefArgument",
    "StoreOption",
    "WhoOption",
    "WhyOption",
    "describe",
    "metric_text",
    "open_registry",
    "step_text",
    "user",
    "when",
]

RefArgument = Annotated[
    str, typer.Argument(metavar="REF", help="transformer, transformer@1.2.0 or transformer@champion.")
]
StoreOption = Annotated[str | None, typer.Option("--store", metavar="URL", help="Database; as store.url.")]
WhyOption = Annotated[str, typer.Option("--why", help="Kept for good.")]
WhoOption = Annotated[str | None, typer.Option("--who", help="Kept for good; you, if left out.")]


@contextlib.contextmanager
def open_registry(
    preset: str | None, config: Path | None, assignments: list[str] | None, store: str | None
) -> Iterator[tuple[Registry, Settings]]:
    """Give the registry that the options of a command name, and the settings."""
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.registry import Registry
    from trader.storage import Store

    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as opened:
        yield Registry.of(opened, settings.registry), settings


def user(who: str | None) -> str:
    """Return who does it: the one named, or the user of this process."""
    return who or getpass.getuser()


def when(ts_ns: int) -> str:
    """Return a stamp for people, UTC.

    >>> when(1_700_000_000_000_000_000)
    '2023-11-14 22:13'
    """
    return f"{dt.datetime.fromtimestamp(ts_ns / 1e9, dt.UTC):%Y-%m-%d %H:%M}"


def metric_text(value: float | None, interval: tuple[float, float] | None = None) -> str:
    """Return a metric with its interval.

    >>> metric_text(0.0213, (0.01, 0.03))
    '0.0213 [0.01, 0.03]'
    """
    if value is None:
        return "-"
    return f"{value:.4g}" if interval is None else f"{value:.4g} [{interval[0]:.4g}, {interval[1]:.4g}]"


def step_text(metrics: Mapping[str, float]) -> str:
    """Return what a fit said of one of its steps.

    >>> step_text({"loss": 0.7, "ic": 0.02})
    'loss 0.7000  ic 0.0200'
    """
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def describe(version: ModelVersion) -> str:
    """Return state, aliases and stamp of a version in a few words."""
    words = [str(version.state), *version.aliases]
    if version.suspect:
        words.append("SUSPECT, acknowledged" if version.acknowledged else "SUSPECT")
    if version.content_hash and not version.location:
        words.append("no artefact")
    return ", ".join(words)
