"""The registry: versions of models, what was decided of them and by whom, and their artefacts."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert

from trader.core.errors import ConflictError, DataError, ModelError, TraderError
from trader.models.checksums import content_hash
from trader.registry import champions, changes, queries, retention
from trader.registry.artifacts import Progress
from trader.registry.database import upsert
from trader.registry.lineage import Lineage
from trader.registry.reading import Ref, RegistryReader, parse_ref, parse_state
from trader.registry.records import AliasMove, CleanUp, ModelVersion, Said
from trader.registry.references import Bump, check_name, closest
from trader.registry.states import Alias, State
from trader.storage import registry_tables as t

__all__ = ["Registry"]

_ANYONE = "*"


class Registry(RegistryReader):
    """Versions of models: records in the store, artefacts in folders below one root.

    Every change is one transaction in which nobody else changes that model. Methods that take `who` and `why` keep
    them; an empty one raises DataError. The parameters are those of `RegistryReader`.
    """

    # Making versions

    def begin(
        self, name: str, *, lineage: Lineage, who: str, why: str, bump: Bump = "minor", kind: str | None = None
    ) -> ModelVersion:
        """Take the next version number, in state TRAINING; the first of a name is 1.0.0.

        `kind` says which class loads the model (a key of `trader.models.base.MODELS`); it is `name` if left out.
        """
        said = self._said(who, why)
        with self._database.write(check_name(name)) as connection:
            return changes.add_version(connection, name, kind or name, lineage, bump=bump, said=said)

    def complete(
        self,
        version: Ref,
        folder: Path,
        *,
        report: Mapping[str, Any],
        metrics: Mapping[str, float],
        who: str,
        why: str,
        progress: Progress = lambda _n: None,
    ) -> ModelVersion:
        """Copy what a model saved into the artefacts, and move its version from TRAINING to STAGING.

        The version gets all of it or nothing: until every byte lies on the disk it stays TRAINING, and no other
        version is touched. After an error, `complete` may be tried again, or `fail` called.

        Parameters
        ----------
        version : Ref
        folder : Path
            Files of `Model.save`.
        report : mapping
            JSON-ready. `suspect` true, or a list of reasons that is not empty, stamps it SUSPECT.
        metrics : mapping of str to float
            What listings and comparisons show; `ic_low` and `ic_high` are the interval of `ic`.
        who, why : str
        progress : callable, optional
            Told of bytes that were copied.

        Raises
        ------
        ConflictError
            If the version is not TRAINING.
        ModelError
            If the folder holds no files, or they cannot be copied.
        """
        said = self._said(who, why)
        found = self.resolve(version)
        if found.state is not State.TRAINING:
            raise ConflictError(f"{found.ref} is {found.state}; only a version that is TRAINING can be completed")
        location = f"{found.name}/{found.version}-{secrets.token_hex(4)}"
        with self._database.write(found.name) as connection:
            connection.execute(insert(t.model_folders).values(location=location, number=found.number))
        try:
            manifest, n_bytes = self._artifacts.put(folder, location, progress)
            with self._database.write(found.name) as connection:
                found = queries.version_by_number(connection, found.number)
                changes.move(connection, found, State.STAGING, said)
                changes.add_result(
                    connection,
                    found,
                    location=location,
                    manifest=manifest,
                    n_bytes=n_bytes,
                    content_hash=content_hash(manifest),
                    report=report,
                    metrics=metrics,
                    suspect=bool(report.get("suspect")),
                )
                return queries.version_by_number(connection, found.number)
        except BaseException:
            with contextlib.suppress(TraderError):
                self._drop_folder(found.name, location)
            raise

    def register(
        self,
        name: str,
        folder: Path,
        *,
        lineage: Lineage,
        report: Mapping[str, Any],
        metrics: Mapping[str, float],
        who: str,
        why: str,
        bump: Bump = "minor",
        kind: str | None = None,
    ) -> ModelVersion:
        """Begin and complete a version that is trained already; it is FAILED if its artefact cannot be kept."""
        version = self.begin(name, lineage=lineage, who=who, why=why, bump=bump, kind=kind)
        try:
            return self.complete(version, folder, report=report, metrics=metrics, who=who, why=why)
        except Exception as error:
            with contextlib.suppress(TraderError):
                self.fail(version, why=str(error) or type(error).__name__, who=who)
            raise

    def fail(self, version: Ref, why: str, who: str = "registry") -> ModelVersion:
        """Move a version from TRAINING to FAILED."""
        return self.transition(version, State.FAILED, who, why)

    # Deciding

    def transition(self, ref: Ref, to_state: State | str, who: str, why: str) -> ModelVersion:
        """Change the state of a version by the table of `trader.registry.states`.

        Raises
        ------
        ConflictError
            If the table, an alias, a missing artefact or an unacknowledged SUSPECT report forbids it.
        """
        said, state = self._said(who, why), parse_state(to_state)
        with self._database.write(parse_ref(ref).name) as connection:
            version = queries.find(connection, parse_ref(ref))
            if version.state is State.TRAINING and state is State.STAGING:
                raise ConflictError(f"{version.ref} is TRAINING; `complete` moves it to STAGING with its artefact")
            changes.move(connection, version, state, said)
            return queries.version_by_number(connection, version.number)

    def set_alias(
        self, name: str, alias: Alias | str, version: Ref | None, *, expected: Ref | None, who: str, why: str
    ) -> AliasMove:
        """Give an alias to a version, if `expected` has it now (None: nobody); None takes it off.

        A version may also be written as its number alone, `1.2.0`. The champion must be in PRODUCTION, others in
        STAGING or PRODUCTION.

        Raises
        ------
        ConflictError
            If another version has the alias; the message names it.
        """
        said, chosen = self._said(who, why), _alias(alias)
        with self._database.write(check_name(name)) as connection:
            found = None if version is None else queries.find(connection, parse_ref(version, name))
            wanted = None if expected is None else queries.find(connection, parse_ref(expected, name)).version
            return champions.set_alias(connection, name, chosen, found, wanted, said)

    def promote(self, ref: Ref, who: str, why: str, *, expected: Ref | None = _ANYONE) -> AliasMove:
        """Make a version the champion, in PRODUCTION; the one before stays in production for a rollback.

        Former champions beyond the rollback window are retired. `expected` is the champion that this promotion
        means to replace (None: nobody); left out, it replaces whoever it is.

        Raises
        ------
        ConflictError
            If another version is champion, the state does not allow it, or the report is SUSPECT and nobody has
            acknowledged it.
        """
        said, name = self._said(who, why), parse_ref(ref).name
        with self._database.write(name) as connection:
            if expected == _ANYONE:
                champion = champions.current(connection, name, Alias.CHAMPION)
            else:
                champion = None if expected is None else queries.find(connection, parse_ref(expected, name))
            wanted = None if champion is None else champion.version
            version = queries.find(connection, parse_ref(ref))
            return champions.promote(connection, version, wanted, said, window=self._window)

    def rollback(self, name: str, who: str, why: str) -> AliasMove:
        """Make the champion before the present one champion again; the present one goes back to STAGING.

        Going back twice goes back two champions; one that was retired since is passed over.

        Raises
        ------
        ConflictError
            If there is none to go back to.
        """
        said = self._said(who, why)
        with self._database.write(check_name(name)) as connection:
            queries.check_model(connection, name)
            return champions.rollback(connection, name, said)

    def acknowledge(self, ref: Ref, who: str, why: str) -> ModelVersion:
        """Keep why a SUSPECT report is right after all, which allows its version to be promoted.

        Raises
        ------
        ConflictError
            If the report is not SUSPECT.
        """
        said = self._said(who, why)
        with self._database.write(parse_ref(ref).name) as connection:
            version = queries.find(connection, parse_ref(ref))
            if not version.suspect:
                raise ConflictError(f"the report of {version.ref} is not SUSPECT; there is nothing to acknowledge")
            values = {"number": version.number, "ts_ns": said.ts_ns, "who": said.who, "why": said.why}
            connection.execute(insert(t.model_acknowledgements).values(values))
            return queries.version_by_number(connection, version.number)

    # Keeping

    def lease(self, ref: Ref, holder: str, *, ttl_s: float | None = None) -> ModelVersion:
        """Say that `holder` uses a version: its artefact stays until `release`, or for `ttl_s` seconds.

        Leasing again sets the time anew. Take the lease before loading, and use the version that it returns.

        Raises
        ------
        ModelError
            If the version has no artefact.
        """
        if not holder.strip():
            raise DataError("holder is empty; say who uses the version")
        with self._database.write(parse_ref(ref).name) as connection:
            version = queries.find(connection, parse_ref(ref))
            if not version.location:
                raise ModelError(f"{version.ref} has no artefact to lease; it is {version.state}")
            expires = None if ttl_s is None else self._clock.now_ns() + int(ttl_s * 1e9)
            upsert(connection, t.model_leases, {"number": version.number, "holder": holder}, {"expires_ns": expires})
            return version

    def release(self, ref: Ref, holder: str) -> bool:
        """End a lease; return whether there was one."""
        leases = t.model_leases.c
        with self._database.write(parse_ref(ref).name) as connection:
            number = queries.find(connection, parse_ref(ref)).number
            query = delete(t.model_leases).where(leases.number == number, leases.holder == holder)
            return connection.execute(query).rowcount > 0

    def clean_up(self, *, keep: int, who: str, why: str, name: str | None = None, dry_run: bool = False) -> CleanUp:
        """Take away artefacts that are neither in use nor among the `keep` newest of their model; records stay.

        What is in use is decided under the lock that every promotion and lease takes too, so that none can slip in
        between. A version in STAGING that loses its artefact is RETIRED.

        Raises
        ------
        ModelError
            If files cannot be deleted; their records are changed, and the next clean-up deletes them.
        """
        said = self._said(who, why)
        if keep < 0:
            raise DataError(f"keep={keep}; 0 or more is needed")
        with self._database.read() as connection:
            if name is not None:
                queries.check_model(connection, name)
            names = queries.model_names(connection) if name is None else [name]
        plans, leftovers = [], 0
        for one in names:
            plan, strays = self._plan(one, keep, said, dry_run=dry_run)
            plans.append(plan)
            doomed = {version.location for version in plan.doomed}
            leftovers += len(set(strays) - doomed)
            for location in () if dry_run else strays:
                self._drop_folder(one, location)
        return CleanUp(
            removed=tuple(version.ref for plan in plans for version in plan.doomed),
            n_bytes=sum(version.n_bytes for plan in plans for version in plan.doomed),
            leftovers=leftovers,
            kept={ref: why for plan in plans for ref, why in plan.kept.items()},
        )

    def _plan(self, name: str, keep: int, said: Said, *, dry_run: bool) -> tuple[retention.Plan, list[str]]:
        """Decide what goes and record it; return that, and the folders that nothing refers to any more."""
        with self._database.write(name) as connection:
            plan = retention.make_plan(connection, name, keep=keep, window=self._window, now_ns=said.ts_ns)
            for version in () if dry_run else plan.doomed:
                if version.state is State.STAGING:
                    changes.move(connection, version, State.RETIRED, said)
                changes.add_removal(connection, version, said)
            return plan, retention.stray_folders(connection, name)

    def _drop_folder(self, name: str, location: str) -> None:
        self._artifacts.delete(location)
        with self._database.write(name) as connection:
            connection.execute(delete(t.model_folders).where(t.model_folders.c.location == location))

    def _said(self, who: str, why: str) -> Said:
        return Said(self._clock.now_ns(), who, why)


def _alias(text: Alias | str) -> Alias:
    try:
        return Alias(text)
    except ValueError:
        raise DataError(f"alias {text!r} is unknown; allowed are {', '.join(Alias)}{closest(text, Alias)}") from None
