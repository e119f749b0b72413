"""The model registry: a large artefact verified and loaded, and listings of many versions."""

from __future__ import annotations

import hashlib
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import REPEATS, Contender, alternate, in_process
from benchmarks.ticks import SEED
from trader.models.kinds import MODELS
from trader.registry import Lineage, ModelVersion, Registry, State
from trader.registry.changes import add_result, add_version, move
from trader.registry.queries import version_by_number
from trader.registry.records import Said
from trader.storage import Store

__all__ = ["run"]

_FILE = "arrays.safetensors"
_N_ARRAYS = 16
_SAY = {"who": "benchmark", "why": "to measure"}
_NAMES = ("transformer", "boosting", "linear", "momentum")
_LISTING_S = 0.1


class LargeModel:
    """A model that is nothing but its arrays."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        self.arrays = arrays

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        from safetensors.numpy import save_file

        save_file(self.arrays, folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the arrays."""
        from safetensors.numpy import load_file

        return cls(load_file(folder / _FILE))


def run(options: Options) -> Result:
    """Measure bytes per second from a reference to a model, and seconds of every kind of listing."""
    MODELS["large"] = f"{__name__}:{LargeModel.__name__}"
    n_bytes, n_versions = options.scaled(500_000_000), options.scaled(10_000)
    with Store.open(f"sqlite:///{options.scratch / 'registry.db'}") as store:
        registry = Registry(store, str(options.scratch / "models"), cache=options.scratch / "cache")
        options.say(f"{n_bytes / 1e6:.0f} MB into the registry")
        version, register_s = _register(registry, n_bytes, options.scratch / "saved")
        options.say("verify and load")
        outcomes = alternate(_contenders(registry, version))
        registry.promote(version, **_SAY)
        options.say(f"{n_versions:,} versions")
        _fill(registry, n_versions)
        listings = {name: _seconds(work) for name, work in _listings(registry).items()}
        registry.promote(_NAMES[0], **_SAY, expected=None)
        rollback_s = _rollback(registry)
    return Result(
        "registry",
        f"An artefact of {n_bytes / 1e6:.0f} MB verified and loaded",
        "bytes",
        {"bytes": n_bytes, "arrays": _N_ARRAYS, "versions": n_versions, "names": len(_NAMES), "seed": SEED},
        outcomes,
        [
            Target("verify and load", "s", outcomes[0].wall_s, "<=", 5.0),
            Target("slowest listing", "s", max(listings.values()), "<=", _LISTING_S),
            Target("rollback", "s", rollback_s, "<=", 1.0),
        ],
        {"register s": register_s, "listings s": listings, "rollback s": rollback_s},
    )


def _register(registry: Registry, n_bytes: int, folder: Path) -> tuple[ModelVersion, float]:
    rng = np.random.default_rng(SEED)
    size = n_bytes // _N_ARRAYS // 8
    folder.mkdir()
    LargeModel({f"array_{number}": rng.random(size) for number in range(_N_ARRAYS)}).save(folder)
    lineage = Lineage(data_fingerprint="0" * 64, settings={}, seed=SEED)
    began = time.perf_counter()
    version = registry.register("large", folder, lineage=lineage, report={}, metrics={}, **_SAY)
    return version, time.perf_counter() - began


def _contenders(registry: Registry, version: ModelVersion) -> list[Contender]:
    folder = registry.fetch(version)
    digest = hashlib.sha256((folder / _FILE).read_bytes()).hexdigest()

    def plain() -> None:
        done = subprocess.run(["sha256sum", str(folder / _FILE)], capture_output=True, text=True, check=True)
        if done.stdout.split()[0] != digest:
            raise RuntimeError("sha256sum found another hash")
        LargeModel.load(folder)

    libraries = versions_of(["safetensors", "pyarrow", "sqlalchemy"])
    return [
        Contender("Registry.load", "ours", version.n_bytes, in_process(lambda: registry.load(version)), libraries),
        Contender("Registry.verify", "variant", version.n_bytes, in_process(lambda: registry.verify(version))),
        Contender(
            "sha256sum, safetensors",
            "peer",
            version.n_bytes,
            in_process(plain),
            versions_of(["safetensors"]),
            "coreutils in a process of its own, whose processor time is not counted; it looks nothing up",
        ),
    ]


def _fill(registry: Registry, n_versions: int) -> None:
    """Insert versions as the registry does, but many in a transaction and without files."""
    lineage = Lineage(data_fingerprint="0" * 64, settings={"models": {"horizon": 5}} | _WIDE, seed=SEED)
    ends = (State.STAGING, State.RETIRED)
    for name in _NAMES:
        with registry._database.write(name) as connection:
            for number in range(n_versions // len(_NAMES)):
                said = Said(time.time_ns(), **_SAY)
                version = add_version(connection, name, name, lineage, bump="minor", said=said)
                move(connection, version, State.STAGING, said)
                add_result(
                    connection,
                    version,
                    location=f"{version.name}/{version.version}",
                    manifest={"model.json": "0" * 64, _FILE: "0" * 64},
                    n_bytes=1_000_000,
                    content_hash="0" * 64,
                    report={"score": {"ic": [0.02] * 60}},
                    metrics={"ic": 0.02, "ic_low": 0.01, "ic_high": 0.03, "sharpe": 0.8, "hit_rate": 0.51},
                    suspect=False,
                )
                if ends[number % 2] is State.RETIRED:
                    move(connection, version_by_number(connection, version.number), State.RETIRED, said)


_WIDE = {"features": {f"family_{number}": {"window": number, "on": True} for number in range(40)}}
"""Settings as many as those of a run."""


def _listings(registry: Registry) -> dict[str, Callable[[], list[ModelVersion]]]:
    middle = registry.versions(limit=1)[0].number // 2
    return {
        "all": registry.versions,
        "of a model": lambda: registry.versions(_NAMES[0]),
        "in staging": lambda: registry.versions(state=State.STAGING),
        "in production": lambda: registry.versions(state=State.PRODUCTION),
        "of a model, retired": lambda: registry.versions(_NAMES[-1], State.RETIRED),
        "newest 50": lambda: registry.versions(limit=50),
        "50 in the middle": lambda: registry.versions(limit=50, before=middle),
        "one": lambda: [registry.resolve(_NAMES[0])],
    }


def _seconds(work: Callable[[], object]) -> float:
    work()
    return statistics.median(in_process(work)().wall_s for _ in range(REPEATS))


def _rollback(registry: Registry) -> float:
    """Return the median of rollbacks, each after a promotion."""
    newest = registry.versions(_NAMES[0], State.STAGING, limit=1)[0]

    def promote() -> None:
        registry.promote(newest, **_SAY)

    work = in_process(lambda: registry.rollback(_NAMES[0], **_SAY), promote)
    return statistics.median(work().wall_s for _ in range(REPEATS))
