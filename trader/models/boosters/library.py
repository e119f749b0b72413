"""What the boosters of optional libraries share: the library's own text is the model."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from trader.core.errors import ModelError
from trader.models.rows import Rows, Watch
from trader.models.tree_model import BLOCK, TreeModel
from trader.models.trees import FlatTree

__all__ = ["LibraryModel", "steps_of"]


class LibraryModel(TreeModel):
    """Base of boosters whose library is an optional extra.

    What is learnt is `text`, the model in the library's own open format: text or JSON, no pickle. It is saved as
    it is and read by a parser of ours, so that only training asks for the library.
    """

    FILE: ClassVar[str]
    """Name of the file that holds the text."""

    text: str = ""

    def _grow(self, rows: Rows, n_trees: int, seed: int, watch: Watch | None, *, more: bool) -> None:
        with _errors_of(self.name):
            self.text = self._train(rows, n_trees, seed, watch, self.text if more else None)
        self._set_trees(*self._parsed(self.text, rows.features.shape[1]))

    @abc.abstractmethod
    def _train(self, rows: Rows, n_trees: int, seed: int, watch: Watch | None, start: str | None) -> str:
        """Return the text of a model with so many trees, after those of `start`."""

    @staticmethod
    @abc.abstractmethod
    def _parsed(text: str, n_features: int) -> tuple[list[FlatTree], float]:
        """Return the trees of a text and what is added to their sum."""

    def _write(self, folder: Path) -> dict[str, NDArray[Any]]:
        (folder / self.FILE).write_text(self.text, encoding="utf-8")
        return {}

    def _read(self, folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: ARG002
        self.text = (folder / self.FILE).read_text(encoding="utf-8")
        self._set_trees(*self._parsed(self.text, len(self.feature_names)))


def steps_of(n_trees: int) -> int:
    """Return how many steps a monitor is told of."""
    return -(-n_trees // BLOCK)


@contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Turn errors of a library into ModelError. What a monitor raises passes."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ in {"LightGBMError", "XGBoostError", "CatBoostError"}:
            reason = re.sub(r"^\S+\.cpp:\d+: ", "", str(error).strip().splitlines()[0])
            raise ModelError(f"{name} cannot be fitted: {reason}") from error
        raise
