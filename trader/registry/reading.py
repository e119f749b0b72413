"""Reading the registry: what a reference means, where its files are, and what is known of it."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine

from trader.core.clock import Clock, SystemClock
from trader.core.errors import DataError, ModelError
from trader.core.protocols import Model
from trader.models.checksums import check_hashes, hash_folder
from trader.models.kinds import model_class
from trader.registry import comparison, history, queries, retention
from trader.registry.artifacts import ArtifactStore
from trader.registry.database import Database
from trader.registry.lineage import Lineage
from trader.registry.records import HistoryEntry, ModelVersion
from trader.registry.references import Reference, closest
from trader.registry.states import State
from trader.settings.sections import RegistrySettings
from trader.storage import Store
from trader.storage.codec import from_json

__all__ = ["Ref", "RegistryReader", "parse_ref", "parse_state"]

Ref = str | ModelVersion
"""`transformer` (its champion, or else the highest version in staging), `transformer@1.2.0`, `transformer@champion`."""


class RegistryReader:
    """What can be asked of a registry. Nothing here writes to the store or to the artefacts.

    A reference that means nothing raises NotFoundError with the nearest name.

    Parameters
    ----------
    store : Store or Engine
    artifacts : str
        Root of the artefacts: a folder, or a URL (`s3://bucket/models`).
    cache : Path
        Local folder for artefacts that are fetched from elsewhere.
    rollback_window : int
        Former champions that stay in production for a rollback.
    clock : Clock, optional
    """

    def __init__(
        self,
        store: Store | Engine,
        artifacts: str,
        *,
        cache: Path,
        rollback_window: int = 3,
        clock: Clock | None = None,
    ) -> None:
        self._database = Database(store._engine if isinstance(store, Store) else store)
        self._artifacts = ArtifactStore(artifacts, cache)
        self._window = rollback_window
        self._clock = clock or SystemClock()

    @classmethod
    def of(cls, store: Store | Engine, settings: RegistrySettings) -> Self:
        """Open the registry that the settings describe."""
        return cls(store, settings.artifacts, cache=settings.cache, rollback_window=settings.rollback_window)

    # Records

    def resolve(self, ref: Ref) -> ModelVersion:
        """Return the version that a reference means now."""
        with self._database.read() as connection:
            return queries.find(connection, parse_ref(ref))

    def versions(
        self,
        name: str | None = None,
        state: State | str | None = None,
        *,
        limit: int | None = None,
        before: int | None = None,
    ) -> list[ModelVersion]:
        """Return versions, newest first; `before` is the `number` of the last version of the page before."""
        chosen = None if state is None else parse_state(state)
        with self._database.read() as connection:
            if name is not None:
                queries.check_model(connection, name)
            return queries.select_versions(connection, name=name, state=chosen, limit=limit, before=before)

    def history(self, ref: Ref) -> list[HistoryEntry]:
        """Return what happened to a version, oldest first."""
        with self._database.read() as connection:
            return history.read_history(connection, queries.find(connection, parse_ref(ref)))

    def lineage(self, ref: Ref) -> Lineage:
        """Return where a version comes from."""
        with self._database.read() as connection:
            return queries.read_lineage(connection, queries.find(connection, parse_ref(ref)).number)

    def report(self, ref: Ref) -> dict[str, Any]:
        """Return the report that a version was completed with; empty until then."""
        with self._database.read() as connection:
            number = queries.find(connection, parse_ref(ref)).number
            report: dict[str, Any] = from_json(queries.read_document(connection, number, "report"))
        return report

    def compare(self, ref_a: Ref, ref_b: Ref) -> comparison.Comparison:
        """Return metrics with their intervals, and the differences in lineage, settings and environment."""
        a, b = self.resolve(ref_a), self.resolve(ref_b)
        return comparison.compare(a, self.lineage(a), b, self.lineage(b))

    def in_use(self, name: str | None = None) -> dict[str, tuple[str, ...]]:
        """Return by reference why versions, of one model or of all, may not lose their artefacts."""
        with self._database.read() as connection:
            if name is not None:
                queries.check_model(connection, name)
            found: dict[str, tuple[str, ...]] = {}
            for one in [name] if name is not None else queries.model_names(connection):
                now_ns = self._clock.now_ns()
                found |= retention.reasons_in_use(connection, one, window=self._window, now_ns=now_ns)
            return found

    # Artefacts

    def fetch(self, ref: Ref) -> Path:
        """Return a local folder with the files of a version, each checked against its SHA-256.

        Raises
        ------
        ModelError
            If the version has no artefact, or a file of it is missing, unlisted or changed.
        """
        version, manifest = self._manifest(ref)
        return self._artifacts.fetch(version.location, manifest)

    def load(self, ref: Ref) -> Model:
        """Return the model of a version, from files that were checked.

        Raises
        ------
        ModelError
            As `fetch`, or if its class cannot read them.
        NotFoundError
            If no model is registered under its kind.
        """
        version = self.resolve(ref)
        return model_class(version.kind).load(self.fetch(version))

    def verify(self, ref: Ref) -> int:
        """Check every file of a version where it lies, and return how many there are; errors as `fetch`."""
        version, manifest = self._manifest(ref)
        self._artifacts.verify(version.location, manifest)
        return len(manifest)

    def export(self, ref: Ref, folder: Path) -> Path:
        """Copy the files of a version to a folder that does not exist yet, whole or not at all."""
        version, manifest = self._manifest(ref)
        if folder.exists():
            raise DataError(f"{folder} exists; name a new folder to export {version.ref} to")
        source = self._artifacts.fetch(version.location, manifest)
        partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
        try:
            shutil.copytree(source, partial)
            check_hashes(str(partial), hash_folder(partial), manifest)
            partial.rename(folder)
        except OSError as error:
            raise ModelError(f"{version.ref} could not be exported to {folder}: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return folder

    def _manifest(self, ref: Ref) -> tuple[ModelVersion, dict[str, str]]:
        with self._database.read() as connection:
            version = queries.find(connection, parse_ref(ref))
            if not version.location:
                why = f"it is {version.state}" if not version.content_hash else "clean-up took it away"
                raise ModelError(f"{version.ref} has no artefact: {why}")
            return version, from_json(queries.read_document(connection, version.number, "manifest"))


def parse_ref(ref: Ref, name: str | None = None) -> Reference:
    """Read a reference; where `name` is known, a version or an alias alone is enough.

    Raises
    ------
    DataError
        If it is none, or one of another model than `name`.
    """
    text = ref.ref if isinstance(ref, ModelVersion) else ref
    if name is not None and "@" not in text:
        text = f"{name}@{text}"
    parsed = Reference.parse(text)
    if name is not None and parsed.name != name:
        raise DataError(f"{text!r} is a version of {parsed.name!r}; one of {name!r} is needed")
    return parsed


def parse_state(state: State | str) -> State:
    """Read a state, in capitals or not; anything else raises DataError."""
    try:
        return State(state.upper())
    except ValueError:
        raise DataError(
            f"state {state!r} is unknown; allowed are {', '.join(State)}{closest(state.upper(), State)}"
        ) from None
