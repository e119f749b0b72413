"""Whatever is done in whatever order, the registry is what a few lists and dictionaries say it is."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trader.core.errors import ConflictError, ModelError, TraderError
from trader.registry import Environment, Lineage, Registry
from trader.registry.states import MOVES, State
from trader.storage import Store

SAY = {"who": "ada", "why": "a test"}
NAME = "linear"
WINDOW = 2
LINEAGE = Lineage(data_fingerprint="f", settings={}, seed=0, environment=Environment({}))
ALIVE = ("STAGING", "PRODUCTION")


@dataclasses.dataclass
class Expected:
    """What a version should be."""

    state: str = "TRAINING"
    suspect: bool = False
    artefact: bool = False
    leased: bool = False


class RegistryMachine(RuleBasedStateMachine):
    """Does everything that can be done to one model; `self.versions` and the like are the oracle."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        (root / "saved").mkdir()
        (root / "saved" / "model.json").write_text("{}")
        self.saved, self.root = root / "saved", root / "artifacts"
        self.store = Store.open("sqlite://")
        self.registry = Registry(self.store, str(self.root), cache=root / "cache", rollback_window=WINDOW)
        self.versions: dict[str, Expected] = {}
        self.aliases: dict[str, str | None] = dict.fromkeys(("champion", "challenger", "shadow"))
        self.champions: list[str | None] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def _pick(self, data: st.DataObject) -> str:
        named = sorted({version for version in self.aliases.values() if version is not None})
        return data.draw(st.sampled_from(named + sorted(self.versions)))

    def _try(self, allowed: bool, work: object, *arguments: object, **options: object) -> bool:
        """Do it; it must be refused exactly where the oracle does not allow it."""
        try:
            work(*arguments, **options)  # type: ignore[operator]
        except (ConflictError, ModelError):
            assert not allowed
            return False
        assert allowed
        return True

    def _named(self, version: str) -> list[str]:
        return [alias for alias, holder in self.aliases.items() if holder == version]

    def _former(self) -> list[str]:
        """Return former champions that could come back, last first, each once."""
        found: list[str] = []
        for version in reversed(self.champions):
            if version is None or version == self.aliases["champion"] or version in found:
                continue
            if self.versions[version].state in ALIVE:
                found.append(version)
        return found

    @initialize()
    def first(self) -> None:
        for _ in range(3):
            self.begin("minor")
        self.complete_all(suspect=False)

    @precondition(lambda self: len(self.versions) < 5)
    @rule(bump=st.sampled_from(["major", "minor", "patch"]))
    def begin(self, bump: str) -> None:
        highest = max((tuple(map(int, version.split("."))) for version in self.versions), default=None)
        if highest is None:
            following = (1, 0, 0)
        else:
            place = ("major", "minor", "patch").index(bump)
            following = (*highest[:place], highest[place] + 1, *(0,) * (2 - place))
        begun = self.registry.begin(NAME, lineage=LINEAGE, bump=bump, **SAY)  # type: ignore[arg-type]
        assert begun.version == ".".join(map(str, following))
        self.versions[begun.version] = Expected()

    @rule(suspect=st.sampled_from([False, False, True]))
    def complete_all(self, suspect: bool) -> None:
        for version, expected in self.versions.items():
            if expected.state == "TRAINING":
                report = {"suspect": suspect}
                self.registry.complete(f"{NAME}@{version}", self.saved, report=report, metrics={}, **SAY)
                expected.state, expected.artefact, expected.suspect = "STAGING", True, suspect

    @rule(data=st.data())
    def complete_one(self, data: st.DataObject) -> None:
        version = self._pick(data)
        expected = self.versions[version]
        allowed = expected.state == "TRAINING"
        done = self._try(allowed, self.registry.complete, f"{NAME}@{version}", self.saved, report={}, metrics={}, **SAY)
        if done:
            expected.state, expected.artefact = "STAGING", True

    @rule(data=st.data(), state=st.sampled_from(["RETIRED", "PRODUCTION", "STAGING", "FAILED", "TRAINING"]))
    def transition(self, data: st.DataObject, state: str) -> None:
        version = self._pick(data)
        expected = self.versions[version]
        named = self._named(version)
        allowed = (
            State(state) in MOVES[State(expected.state)]
            and not (expected.state == "TRAINING" and state == "STAGING")
            and not (state == "PRODUCTION" and expected.suspect)
            and not (expected.state == "RETIRED" and not expected.artefact)
            and not (named and state not in ALIVE)
            and not ("champion" in named and state != "PRODUCTION")
        )
        if self._try(allowed, self.registry.transition, f"{NAME}@{version}", state, **SAY):
            expected.state = state

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        version = self._pick(data)
        expected = self.versions[version]
        was = self.registry.resolve(f"{NAME}@{version}")
        if self._try(was.suspect, self.registry.acknowledge, f"{NAME}@{version}", **SAY):
            expected.suspect = False

    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        alive = [version for version, known in self.versions.items() if known.state in ALIVE]
        version = data.draw(st.sampled_from(alive * 3 + sorted(self.versions)))
        expected = self.versions[version]
        allowed = (
            self.aliases["champion"] != version
            and expected.state in ALIVE
            and not (expected.state == "STAGING" and expected.suspect)
        )
        if self._try(allowed, self.registry.promote, f"{NAME}@{version}", **SAY):
            expected.state = "PRODUCTION"
            self.aliases["champion"] = version
            self.champions.append(version)
            for former in self._former()[WINDOW:]:
                if self.versions[former].state == "PRODUCTION" and not self._named(former):
                    self.versions[former].state = "RETIRED"

    @rule()
    def rollback(self) -> None:
        former = self._former()
        if not self._try(bool(former), self.registry.rollback, NAME, **SAY):
            return
        left = self.aliases["champion"]
        while self.champions and self.champions[-1] != former[0]:
            self.champions.pop()
        self.aliases["champion"] = former[0]
        self.versions[former[0]].state = "PRODUCTION"
        if left is not None:
            self.versions[left].state = "STAGING"

    @rule(data=st.data(), alias=st.sampled_from(["champion", "challenger", "shadow"]), right=st.booleans())
    def set_alias(self, data: st.DataObject, alias: str, right: bool) -> None:
        version = data.draw(st.sampled_from([None, *sorted(self.versions)]))
        others = [known for known in (None, *self.versions) if known != self.aliases[alias]]
        guess = self.aliases[alias] if right else data.draw(st.sampled_from(others))
        needed = ("PRODUCTION",) if alias == "champion" else ALIVE
        allowed = right and (version is None or self.versions[version].state in needed)
        if self._try(allowed, self.registry.set_alias, NAME, alias, version, expected=guess, **SAY):
            self.aliases[alias] = version
            if alias == "champion":
                self.champions.append(version)

    @rule(data=st.data())
    def lease_or_release(self, data: st.DataObject) -> None:
        version = self._pick(data)
        expected = self.versions[version]
        if expected.leased:
            assert self.registry.release(f"{NAME}@{version}", "me")
            expected.leased = False
        elif self._try(expected.artefact, self.registry.lease, f"{NAME}@{version}", "me"):
            expected.leased = True

    @rule(keep=st.integers(0, 2))
    def clean_up(self, keep: int) -> None:
        present = [version for version in reversed(self.versions) if self.versions[version].artefact]
        former = self._former()[:WINDOW]
        doomed = [
            version
            for version in present[keep:]
            if not self._named(version)
            and self.versions[version].state != "PRODUCTION"
            and not self.versions[version].leased
            and version not in former
        ]
        done = self.registry.clean_up(keep=keep, **SAY)
        assert set(done.removed) == {f"{NAME}@{version}" for version in doomed}
        for version in doomed:
            self.versions[version].artefact = False
            self.versions[version].state = "RETIRED"

    @invariant()
    def registry_is_as_expected(self) -> None:
        found = self.registry.versions()
        assert [version.version for version in found] == list(reversed(self.versions))
        for version in found:
            expected = self.versions[version.version]
            assert version.state == expected.state
            assert bool(version.location) == expected.artefact
            assert sorted(version.aliases) == sorted(self._named(version.version))
            assert (version.suspect and not version.acknowledged) == expected.suspect
        assert {path.name for path in self.root.glob("*/*")} == {v.location.rpartition("/")[2] for v in found} - {""}

    @invariant()
    def aliases_name_versions_that_can_be_loaded(self) -> None:
        for alias, holder in self.aliases.items():
            try:
                assert self.registry.resolve(f"{NAME}@{alias}").version == holder
            except TraderError:
                assert holder is None
            if holder is not None:
                assert self.registry.fetch(f"{NAME}@{alias}").is_dir()


RegistryMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestRegistry = RegistryMachine.TestCase
