"""Where large jobs of the risk commands run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

from trader.cli.common import stdout_for_results
from trader.settings import Settings

__all__ = ["RayOption", "may_use_ray", "ray_cluster"]

RayOption = Annotated[
    str,
    typer.Option("--ray", metavar="auto|off|ADDRESS", help="auto: on the cluster of ray.address where it is worth it."),
]


def may_use_ray(option: str, *, large: bool) -> bool:
    """Whether a job runs on Ray: with an address always, with `auto` if it is large."""
    return option != "off" and (option != "auto" or large)


@contextlib.contextmanager
def ray_cluster(settings: Settings, option: str) -> Iterator[None]:
    """Give the cluster that the option or the settings name, without dashboard; stdout is kept for results."""
    from trader.runtime.cluster import cluster

    wanted: dict[str, object] = {"dashboard": False}
    if option != "auto":
        wanted["address"] = option
    with stdout_for_results(), cluster(settings.ray.model_copy(update=wanted)):
        yield
