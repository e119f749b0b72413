"""`trader serve apply`: other versions, weights or an experiment for an application that is up, in place."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trader.cli.common import (
    ConfigOption,
    JsonOption,
    PresetOption,
    SetOption,
    err,
    print_json,
    read_settings,
)
from trader.cli.models.common import WhoOption, WhyOption, user
from trader.cli.run import RunsDirOption, comma_list
from trader.core.errors import OperationError, UserError

if TYPE_CHECKING:
    from serve.wanted import Wanted
    from trader.storage.serving import ServingEvent, ServingLog

__all__ = [
    "ExperimentOption",
    "MembersOption",
    "ModelsOption",
    "NameOption",
    "ShareOption",
    "WeightsOption",
    "apply",
    "wanted_of",
]

_POLL_S = 0.2
_OUTCOMES = ("applied", "failed")

NameOption = Annotated[str, typer.Option("--name", help="Of the application, and of its folder in RUNS_DIR/serve.")]
ModelsOption = Annotated[
    Path | None, typer.Option("--models", metavar="DIR", help="A saved ensemble: RUNS_DIR/RUN_ID/models.")
]
MembersOption = Annotated[
    str | None,
    typer.Option("--members", metavar="A,B", help="Registered versions: linear@1.2.0, or linear@champion to follow."),
]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", metavar="W,W", help="One a member, in order; equal or as saved by default.")
]
ExperimentOption = Annotated[
    str | None,
    typer.Option("--experiment", metavar="NAME", help="Its challenger answers for its share of the symbols."),
]
ShareOption = Annotated[
    float | None, typer.Option("--share", help="That share, 0 to 1; as registered where it is not given.")
]


def apply(
    models: ModelsOption = None,
    members: MembersOption = None,
    weights: WeightsOption = None,
    experiment: ExperimentOption = None,
    share: ShareOption = None,
    why: WhyOption = "",
    who: WhoOption = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait until it is served.")] = 120.0,
    name: NameOption = "standing",
    runs_dir: RunsDirOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is served, without a restart or a failed request; exit 1 if it could not be.

    New versions are loaded and checked before traffic moves to them, and those before are kept for a rollback. What is
    left out is not wanted: without --experiment there is none.

    Example: trader serve apply --members linear@1.3.0,momentum@champion --weights 2,1 --why "retrained"
    """
    settings = read_settings(preset, config, assignments, {"run": {"runs_dir": runs_dir}})
    from serve.session import session_folder
    from serve.wanted import intent_of
    from trader.storage import Store
    from trader.storage.serving import ServingLog

    session_folder(settings.run.runs_dir, name)
    wanted = wanted_of(models, members, weights, experiment, share)
    if wanted is None:
        raise UserError("--members A,B or --models DIR is needed")
    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as store:
        intent_of(wanted, store, settings.registry)
        log = ServingLog(store, name)
        if log.latest("applied") is None:
            raise UserError(f"--name {name!r}: nothing of that name was ever up; `trader serve up` begins")
        revision = log.add("wanted", wanted.model_dump(mode="json"), who=user(who), why=why or "trader serve apply")
        event = _outcome(log, revision, timeout)
    if as_json:
        print_json({"revision": revision, "outcome": event.kind, **event.payload})
    elif event.kind == "applied":
        line = f"{name} serves {_what(event.payload)}, after {event.payload['seconds']:.1f} s"
        err.print(line, markup=False, highlight=False, soft_wrap=True)
    if event.kind == "failed":
        raise OperationError(f"revision {revision} is not served: {event.payload['error']}")


def wanted_of(
    models: Path | None, members: str | None, weights: str | None, experiment: str | None, share: float | None
) -> Wanted | None:
    """Return what the options ask for; None if they ask for nothing.

    Raises
    ------
    UserError
        If they do not go together.
    """
    from serve.wanted import Wanted

    if models is None and members is None:
        if weights is not None or experiment is not None or share is not None:
            raise UserError("--weights, --experiment and --share need --members A,B or --models DIR")
        return None
    if models is not None and members is not None:
        raise UserError("--models DIR or --members A,B is needed, not both")
    if models is not None and not models.is_dir():
        raise UserError(f"--models {models}: no such folder; one that `trader run` or `up` saved is needed")
    names = comma_list(members) or ()
    of = names
    if models is not None:
        from trader.models.artifacts import read_manifest

        of = tuple(member["key"] for member in read_manifest(models)["members"])
    return Wanted.of(
        members=names,
        models=None if models is None else models.resolve(),
        weights=_weights(weights, of),
        experiment=experiment,
        share=share,
    )


def _weights(text: str | None, members: tuple[str, ...]) -> dict[str, float]:
    if text is None:
        return {}
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != len(members):
        raise UserError(f"--weights {text!r}: {len(members)} numbers are needed, one for each of {', '.join(members)}")
    return dict(zip(members, values, strict=True))


def _outcome(log: ServingLog, revision: int, timeout_s: float) -> ServingEvent:
    """Return what became of a revision, as soon as its conductor says so."""
    deadline = time.monotonic() + timeout_s
    while True:
        for event in log.page():
            if event.kind in _OUTCOMES and event.payload.get("revision") == revision:
                return event
        if time.monotonic() > deadline:
            raise OperationError(
                f"revision {revision} is wanted, and nobody said within {timeout_s:g} s that it is served; "
                "is the application up? `trader serve status` says so"
            )
        time.sleep(_POLL_S)


def _what(payload: Mapping[str, Any]) -> str:
    serving, intent = payload["serving"], payload["intent"]
    text = ", ".join(intent["champion"]) or serving["model_dir"]
    if intent["split"] is not None:
        text += f"; {', '.join(intent['challenger'])} for {intent['split']['challenger']:.0%} of the symbols"
    return text
