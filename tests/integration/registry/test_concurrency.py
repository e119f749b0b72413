"""Many at once: no number twice, no lost alias, and no artefact removed from under a promotion."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.processes import outputs
from tests.support.waiting import wait_until
from trader.core.errors import ConflictError, ModelError
from trader.registry import Lineage, ModelVersion, Registry, State
from trader.storage import Store

SAY = {"who": "ada", "why": "a test"}
Add = Callable[..., ModelVersion]

BEGIN = """
import sys
from pathlib import Path
from trader.registry import Lineage, Registry
from trader.storage import Store
registry = Registry(Store.open(sys.argv[1]), "models", cache=Path("cache"))
lineage = Lineage(data_fingerprint="f", settings={}, seed=0)
for _ in range(10):
    print(registry.begin("linear", lineage=lineage, who="me", why="a race").version)
"""


@pytest.fixture
def another(store_url: str, artifacts: Path, tmp_path: Path) -> Callable[[], Registry]:
    """Open the same registry once more, as another process would."""
    return lambda: Registry(Store.open(store_url), str(artifacts), cache=tmp_path / "cache", rollback_window=2)


def test_processes_never_get_the_same_number(store: Store, store_url: str, registry: Registry) -> None:
    """Two processes begin versions of a new model as fast as they can."""
    taken = [number for text in outputs(BEGIN, store_url, n=2) for number in text.split()]
    assert len(taken) == 20
    assert {f"1.{minor}.0" for minor in range(20)} == set(taken)


def test_one_of_many_expectations_holds(registry: Registry, add: Add, another: Callable[[], Registry]) -> None:
    """Of eight that would replace the same champion, one does, and the others learn by whom."""
    registry.promote(add(), **SAY)
    versions = [add() for _ in range(4)]
    barrier = threading.Barrier(4)

    def promote(version: ModelVersion) -> str:
        own = another()
        barrier.wait()
        try:
            return own.promote(version, expected="1.0.0", **SAY).after or ""
        except ConflictError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(promote, versions))
    champion = registry.resolve("linear").version
    assert [text for text in found if text == champion] == [champion]
    assert sum(f"the champion of 'linear' is {champion}, not 1.0.0" in text for text in found) == 3
    assert [v.version for v in registry.versions(state=State.PRODUCTION)] == [champion, "1.0.0"]


def test_clean_up_never_takes_what_is_promoted_or_leased_meanwhile(
    registry: Registry, add: Add, another: Callable[[], Registry], artifacts: Path
) -> None:
    """Promotions and leases race with clean-up: each either gets a whole version or is told that it is gone."""
    outcomes: list[tuple[str, bool]] = []
    for _ in range(4):
        version, leased = add(), add()
        barrier = threading.Barrier(3)

        def promote(version: ModelVersion = version, barrier: threading.Barrier = barrier) -> bool:
            own = another()
            barrier.wait()
            try:
                own.promote(version, **SAY)
            except ConflictError:  # it was RETIRED a moment before
                return False
            return True

        def lease(version: ModelVersion = leased, barrier: threading.Barrier = barrier) -> bool:
            own = another()
            barrier.wait()
            try:
                own.lease(version, "me")
            except ModelError:
                return False
            return True

        def sweep(barrier: threading.Barrier = barrier) -> bool:
            own = another()
            barrier.wait()
            own.clean_up(keep=0, **SAY)
            return True

        with ThreadPoolExecutor(3) as pool:
            tasks = [pool.submit(task) for task in (promote, lease, sweep)]
            promoted, held, _ = (task.result() for task in tasks)
        for ref, kept in ((version.ref, promoted), (leased.ref, held)):
            assert bool(registry.resolve(ref).location) == kept
            if kept:
                assert registry.load(ref).name == "linear"
            outcomes.append((ref, kept))
    assert {path.relative_to(artifacts).as_posix() for path in artifacts.glob("*/*")} == {
        version.location for version in registry.versions() if version.location
    }
    registry.clean_up(keep=0, **SAY)
    assert all(registry.verify(ref) for ref, kept in outcomes if kept and registry.resolve(ref).state == "PRODUCTION")


def test_only_one_of_two_completes(
    registry: Registry, another: Callable[[], Registry], saved: Path, artifacts: Path, lineage: Callable[..., Lineage]
) -> None:
    """Two that complete the same version: the one that comes second is refused and leaves no file."""
    version = registry.begin("linear", lineage=lineage(), **SAY)
    barrier = threading.Barrier(2)

    def complete(_number: int) -> bool:
        own = another()
        barrier.wait()
        try:
            own.complete(version, saved, report={}, metrics={}, **SAY)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(complete, range(2))) == [False, True]
    assert [path.relative_to(artifacts).as_posix() for path in artifacts.glob("*/*")] == [
        registry.resolve(version).location
    ]
    assert registry.load(version).name == "linear"


def test_readers_see_a_champion_at_every_moment(registry: Registry, add: Add, another: Callable[[], Registry]) -> None:
    """While champions change, a reader always finds one, in production and with an artefact."""
    versions = [add() for _ in range(2)]
    registry.promote(versions[0], **SAY)
    done = threading.Event()

    seen: list[str] = []

    def read() -> None:
        own = another()
        while not done.is_set():
            champion = own.resolve("linear@champion")
            assert champion.location
            seen.append(champion.version)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            wait_until(lambda: seen or reading.done())
            for _ in range(10):
                registry.promote(versions[1], **SAY)
                registry.rollback("linear", **SAY)
        finally:
            done.set()
        reading.result()
    assert len(seen) > 0
