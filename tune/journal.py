"""What a search has done so far, written down as it happens.

::

    searches/NAME/
      search.json       what was asked for
      trials.jsonl      one event a line, synced to disk before the search goes on
      trials.parquet    one row a trial, written at the end
      report.html

A search that is killed goes on from its journal alone. Reading it runs no code from it, and a last line that was cut
short by the kill is left out.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal

import numpy as np

from trader.core.errors import DataError, NotFoundError, OperationError, SettingsError, UserError
from trader.validation.sharpe import sharpe_ratio
from tune.objective import Epoch, FoldScore

__all__ = [
    "Journal",
    "Status",
    "Trial",
    "check_name",
    "find_search",
    "fold_from_dict",
    "list_searches",
    "read_spec",
    "read_trials",
    "search_dir",
]

Status = Literal["running", "complete", "stopped", "failed"]

_FOLDER = "searches"
_SPEC = "search.json"
_EVENTS = "trials.jsonl"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """One set of hyperparameters, and what it came to.

    Parameters
    ----------
    number : int
        From 0, in the order in which trials were drawn.
    params : mapping
        Those in force at the end; population-based training changes them on the way.
    status : {"running", "complete", "stopped", "failed"}
        `stopped` is given up early by the scheduler; `running` had not ended when the journal was read.
    folds : tuple of FoldScore
    scores : tuple of float
        The trial's score after each fold, higher is better.
    epochs : tuple of Epoch
        Steps of its fits.
    error : str
        Why it failed.
    changes : int
        How often population-based training gave it other hyperparameters.
    seconds : float
        Spent on its own fitting and scoring; folds inherited from another trial cost nothing.
    """

    number: int
    params: Mapping[str, Any]
    status: Status = "running"
    folds: tuple[FoldScore, ...] = ()
    scores: tuple[float, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    error: str = ""
    changes: int = 0
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """The last score; NaN before the first fold, and for a trial that failed."""
        return self.scores[-1] if self.scores and self.status != "failed" else math.nan

    @property
    def sharpe(self) -> float:
        """Sharpe ratio per period of its returns; NaN without any."""
        return sharpe_ratio(np.array(self.returns))

    @property
    def returns(self) -> tuple[float, ...]:
        """Returns of all folds, in order of time."""
        return tuple(value for fold in self.folds for value in fold.returns)


class Journal:
    """Appends events to a search's folder; each is on disk when its method returns.

    Parameters
    ----------
    folder : Path
        As `search_dir` gives it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None
        self._trials = {trial.number: trial for trial in read_trials(folder)}

    @property
    def trials(self) -> Mapping[int, Trial]:
        """All trials so far, by number."""
        return MappingProxyType(self._trials)

    def create(self, spec: Mapping[str, Any]) -> None:
        """Begin a new search.

        Raises
        ------
        UserError
            If there is one of that name, or the folder cannot be made.
        """
        if (self._folder / _SPEC).exists():
            raise UserError(f"search {self._folder.name!r} exists in {self._folder.parent}; resume it or choose a name")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = self._folder / f"{_SPEC}.partial"
            partial.write_text(json.dumps(spec, indent=2) + "\n", encoding="utf-8")
            partial.replace(self._folder / _SPEC)
        except OSError as error:
            raise UserError(f"{self._folder} cannot be written: {error.strerror or error}") from error

    def begin(self, number: int, params: Mapping[str, Any]) -> None:
        """Note a trial and its hyperparameters; again, with others, where they change."""
        self._write({"event": "begin", "trial": number, "params": dict(params)})

    def epoch(self, number: int, epoch: Epoch) -> None:
        """Note a step of a fit."""
        self._write({"event": "epoch", "trial": number, **dataclasses.asdict(epoch)})

    def fold(self, number: int, fold: FoldScore, score: float) -> None:
        """Note a finished fold and the trial's score after it."""
        self._write({"event": "fold", "trial": number, "score": score, **dataclasses.asdict(fold)})

    def inherit(self, number: int, folds: Iterable[FoldScore], scores: Iterable[float]) -> None:
        """Note that a trial goes on from another's folds."""
        inherited = [dataclasses.asdict(fold) for fold in folds]
        self._write({"event": "inherit", "trial": number, "folds": inherited, "scores": list(scores)})

    def end(self, number: int, status: Status, error: str = "") -> None:
        """Note how a trial ended."""
        self._write({"event": "end", "trial": number, "status": status, "error": error})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, event: Mapping[str, Any]) -> None:
        try:
            if self._file is None:
                _drop_torn_line(self._folder / _EVENTS)
                self._file = (self._folder / _EVENTS).open("a", encoding="utf-8")
            self._file.write(json.dumps(event) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            _apply(self._trials, dict(event))
        except OSError as error:
            raise OperationError(f"{self._folder / _EVENTS} cannot be written: {error.strerror or error}") from error


def check_name(name: str) -> str:
    """Return the name of a search; one that no folder should have raises SettingsError."""
    if not _NAME.fullmatch(name):
        raise SettingsError(f"name={name!r} is not allowed; use up to 64 letters, digits, dots, dashes and underscores")
    return name


def search_dir(runs_dir: Path, name: str) -> Path:
    """Return the folder of a search, whether it exists or not; a bad name raises SettingsError."""
    return runs_dir / _FOLDER / check_name(name)


def list_searches(runs_dir: Path) -> list[str]:
    """Return the names of the searches kept in a runs folder, sorted."""
    return sorted(path.parent.name for path in (runs_dir / _FOLDER).glob(f"*/{_SPEC}"))


def find_search(runs_dir: Path, name: str) -> Path:
    """Return the folder of a search that exists.

    Raises
    ------
    NotFoundError
        If there is none of that name; the message names the closest.
    """
    folder = search_dir(runs_dir, name)
    if not (folder / _SPEC).exists():
        known = list_searches(runs_dir)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known) or 'none'}"
        raise NotFoundError(f"search {name!r} does not exist in {folder.parent}{hint}")
    return folder


def read_spec(folder: Path) -> dict[str, Any]:
    """Return what was asked for; an unreadable file raises DataError."""
    try:
        spec = json.loads((folder / _SPEC).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / _SPEC} cannot be read: {error}") from error
    if not isinstance(spec, dict):
        raise DataError(f"{folder / _SPEC} holds a {type(spec).__name__}; a mapping is allowed")
    return spec


def read_trials(folder: Path) -> list[Trial]:
    """Return the trials of a search in order of number.

    Raises
    ------
    DataError
        If the journal cannot be read.
    """
    trials: dict[int, Trial] = {}
    path = folder / _EVENTS
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for place, line in enumerate(lines):
            try:
                event = json.loads(line)
            except ValueError:
                if place == len(lines) - 1:
                    break
                raise
            _apply(trials, event)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error!r}") from error
    return [trials[number] for number in sorted(trials)]


def _apply(trials: dict[int, Trial], event: dict[str, Any]) -> None:
    number = event.pop("trial")
    what = event.pop("event")
    trial = trials.get(number)
    if what == "begin":
        changed = trial is not None and trial.params != event["params"]
        trial = trial or Trial(number, {})
        trials[number] = dataclasses.replace(trial, params=event["params"], changes=trial.changes + changed)
        return
    if trial is None:
        raise KeyError(f"trial {number} was never begun")
    if what == "epoch":
        trial = dataclasses.replace(trial, epochs=(*trial.epochs, Epoch(**event)))
    elif what == "fold":
        score = event.pop("score")
        fold = fold_from_dict(event)
        # A trial that was begun again after a kill may tell of the same fold twice.
        trial = dataclasses.replace(
            trial,
            folds=(*trial.folds[: fold.fold], fold),
            scores=(*trial.scores[: fold.fold], score),
            seconds=trial.seconds + fold.seconds,
        )
    elif what == "inherit":
        trial = dataclasses.replace(
            trial, folds=tuple(fold_from_dict(fold) for fold in event["folds"]), scores=tuple(event["scores"])
        )
    elif what == "end":
        trial = dataclasses.replace(trial, status=event["status"], error=event["error"])
    trials[number] = trial


def fold_from_dict(content: Mapping[str, Any]) -> FoldScore:
    """Return the fold that `dataclasses.asdict` made plain."""
    return FoldScore(**{**content, "returns": tuple(content["returns"])})


def _drop_torn_line(path: Path) -> None:
    """Cut off what follows the last line end, so that the next event begins a line of its own."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
