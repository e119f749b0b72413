"""The hyperparameters of the market transformer, checked."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from trader.core.errors import DataError

__all__ = ["TransformerParams"]

Device = Literal["auto", "cpu", "cuda"]
Switch = Literal["auto", "on", "off"]


@dataclasses.dataclass(kw_only=True, eq=False)
class TransformerParams:
    """What a market transformer is made of and how it is trained.

    Parameters
    ----------
    context, patch : int
        Instants a score looks at, and instants a token holds, of which the context is a multiple. A patch of 1
        embeds every instant.
    d_model, n_heads, n_layers : int
        Heads are even in number, half of them along time and half across symbols; `d_model` is a multiple of 8 and
        of `n_heads`, and leaves a head more than one dimension.
    d_feedforward : int
        Inner width of the feed-forward nets; 0 is four times `d_model`.
    n_symbol_embeddings : int
        At most so many symbols have an embedding of their own; 0 for none.
    dropout, stranger_rate : float
        See `trader.models.transformer.NetworkConfig`.
    epochs, batch_size, learning_rate, weight_decay, warmup, max_gradient, patience
        See `trader.models.transformer_training.TrainingPlan`.
    validation_fraction : float
        Share of the instants held out, from the end; 0 holds out none.
    purge : int
        Instants between training and validation; at least what a label looks ahead.
    device : {"auto", "cpu", "cuda"}
    n_threads : int
        Of training on the processor; another number may add in another order.
    compiled : {"auto", "on", "off"}
        Whether to train by `torch.compile`; "auto" does on CUDA, where it pays.

    Raises
    ------
    DataError
        If a value is not allowed; the message says what is.
    """

    context: int = 8
    patch: int = 1
    d_model: int = 48
    n_heads: int = 4
    n_layers: int = 2
    d_feedforward: int = 0
    n_symbol_embeddings: int = 256
    dropout: float = 0.2
    stranger_rate: float = 0.05
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1.0
    warmup: float = 0.1
    max_gradient: float = 1.0
    patience: int = 5
    validation_fraction: float = 0.15
    purge: int = 10
    device: Device = "auto"
    n_threads: int = 1
    compiled: Switch = "auto"

    def __post_init__(self) -> None:
        for key in ("context", "patch", "n_heads", "n_layers", "epochs", "batch_size", "patience", "n_threads"):
            _require(key, getattr(self, key), getattr(self, key) >= 1, "at least 1")
        for key in ("d_feedforward", "n_symbol_embeddings", "purge", "weight_decay"):
            _require(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")
        for key in ("dropout", "stranger_rate", "warmup", "validation_fraction"):
            _require(key, getattr(self, key), 0 <= getattr(self, key) < 1, "from 0 to below 1")
        for key in ("learning_rate", "max_gradient"):
            _require(key, getattr(self, key), getattr(self, key) > 0, "positive")
        _require("context", self.context, self.context % self.patch == 0, f"a multiple of patch={self.patch}")
        _require("n_heads", self.n_heads, self.n_heads % 2 == 0, "even")
        fits = self.d_model % 8 == 0 and self.d_model % self.n_heads == 0 and self.d_model >= 2 * self.n_heads
        _require("d_model", self.d_model, fits, f"a multiple of 8 and of n_heads={self.n_heads}, and twice it or more")
        _require("device", self.device, self.device in get_args(Device), f"one of {', '.join(get_args(Device))}")
        _require("compiled", self.compiled, self.compiled in get_args(Switch), f"one of {', '.join(get_args(Switch))}")

    @property
    def params(self) -> dict[str, Any]:
        """The hyperparameters by name, ready for JSON."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(TransformerParams)}


def _require(key: str, value: object, allowed: bool, what: str) -> None:
    if not allowed:
        raise DataError(f"{key}={value!r} is not allowed; it must be {what}")
