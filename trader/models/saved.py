"""The part of row models that is kept: parameters, learnt arrays and calibration, and their way to files and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError
from trader.models.calibration import Calibration
from trader.models.state import read_state, write_state

__all__ = ["SavedModel"]

_CALIBRATION = "calibration."


class SavedModel:
    """Base of models whose state is a handful of arrays; its constructor takes the `PARAMS` as keywords."""

    name: ClassVar[str]
    PARAMS: ClassVar[tuple[str, ...]]
    """Hyperparameters: constructor keywords, and attributes of the same name."""
    ARRAYS: ClassVar[tuple[str, ...]]
    """What is learnt: attributes that hold arrays."""

    feature_names: tuple[str, ...] = ()
    calibration: Calibration | None = None
    """What forecasts are made with; None where a fit had too few rows to hold some out."""

    def save(self, folder: Path) -> None:
        """Write `model.json` and `arrays.safetensors` into `folder`, which must exist."""
        if not self.feature_names:
            raise ModelError(f"{self.name} is not fitted; only a fitted model can be saved")
        params = {key: getattr(self, key) for key in self.PARAMS}
        state = {"name": self.name, "feature_names": list(self.feature_names), "params": params}
        arrays = self._write(folder)
        if self.calibration is not None:
            arrays |= {_CALIBRATION + key: array for key, array in self.calibration.arrays().items()}
        write_state(folder, state, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; anything else raises ModelError naming the folder."""
        try:
            state, arrays = read_state(folder, cls.name)
            model = cls(**{key: state["params"][key] for key in cls.PARAMS})
            model.feature_names = tuple(state["feature_names"])
            model._read(folder, arrays)
            found = {k.removeprefix(_CALIBRATION): a for k, a in arrays.items() if k.startswith(_CALIBRATION)}
            model.calibration = Calibration.from_arrays(found) if found else None
        except (OSError, ValueError, LookupError, TypeError, DataError) as error:
            raise ModelError(f"{folder} does not hold a readable {cls.name!r} model: {error!r}") from error
        return model

    def _write(self, folder: Path) -> dict[str, NDArray[Any]]:  # noqa: ARG002
        """Return the learnt arrays; what is no array is written to a file of its own in `folder`."""
        return {key: getattr(self, key) for key in self.ARRAYS}

    def _read(self, folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: ARG002
        """Take back what `_write` gave."""
        for key in self.ARRAYS:
            setattr(self, key, arrays[key])
