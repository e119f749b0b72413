"""Windows of an encoded panel as tensors, cut without copying the panel."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from trader.models.encoding import Encoded

__all__ = ["PAST", "WindowSource", "Windows", "joined", "random_windows"]

PAST = 10_000
"""Age of a symbol whose last bar is not in the window; every decay of it is 0."""


@dataclasses.dataclass(frozen=True, slots=True)
class Windows:
    """A batch of windows; B windows, N symbols, T patches of P instants.

    Parameters
    ----------
    patches : Tensor of shape (B, N, T, P * n_values)
        The values of a patch's instants, oldest first.
    calendar : Tensor of shape (B, N, T, n_calendar)
        Of a patch's last instant, as are the following.
    market : Tensor of shape (B, N, T, n_market)
    age : Tensor of shape (B, N, T)
        Instants since the symbol's last bar in the window.
    missing : Tensor of bool, shape (B, N, T)
        Patches in which nothing is known of the symbol.
    """

    patches: Tensor
    calendar: Tensor
    market: Tensor
    age: Tensor
    missing: Tensor

    def split(self, size: int) -> list[Windows]:
        """Return parts of so many windows."""
        fields = {field.name: getattr(self, field.name).split(size) for field in dataclasses.fields(self)}
        return [Windows(**dict(zip(fields, parts, strict=True))) for parts in zip(*fields.values(), strict=True)]


def joined(parts: Sequence[Windows]) -> Windows:
    """Return the windows of several batches, of equal numbers of symbols and patches, as one."""
    fields = (field.name for field in dataclasses.fields(Windows))
    return Windows(**{name: torch.cat([getattr(part, name) for part in parts]) for name in fields})


def random_windows(like: Windows, n_windows: int) -> Windows:
    """Draw windows of the shapes of others, nothing missing; always the same."""
    generator = torch.Generator().manual_seed(0)

    def normal(field: Tensor) -> Tensor:
        return torch.randn((n_windows, *field.shape[1:]), generator=generator, dtype=field.dtype)

    return Windows(
        patches=normal(like.patches),
        calendar=normal(like.calendar),
        market=normal(like.market),
        age=torch.randint(PAST, (n_windows, *like.age.shape[1:]), generator=generator),
        missing=torch.zeros((n_windows, *like.missing.shape[1:]), dtype=torch.bool),
    )


class WindowSource:
    """Cuts windows that end at given instants.

    Parameters
    ----------
    panel : Encoded
        Begins with `context` - 1 instants of past, missing ones where there is none.
    context, patch : int
        Instants in a window and in a patch, of which the context is a multiple.
    device : torch.device or str
    """

    def __init__(self, panel: Encoded, context: int, patch: int, device: torch.device | str = "cpu") -> None:
        self.context = context
        self.patch = patch
        self._values = torch.from_numpy(panel.values).to(device)
        self._calendar = torch.from_numpy(panel.calendar).to(device)
        self._market = torch.from_numpy(panel.market).to(device)
        self._known = torch.from_numpy(panel.known).to(device)
        self._event = torch.from_numpy(panel.event).to(device)

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self._values.device

    @property
    def n_symbols(self) -> int:
        """Symbols of the panel."""
        return self._values.shape[0]

    def windows(self, ends: Tensor) -> Windows:
        """Return the windows that end at these instants, shape (B,), counted from the first after the past."""
        n_patches = self.context // self.patch
        patches = self._cut(self._values, ends)  # (B, N, C * V)
        known = self._cut(self._known, ends)  # (B, N, C)
        event = self._cut(self._event, ends)
        event[:, :, 0] = known[:, :, 0]  # what came before the window is not known
        place = torch.arange(self.context, device=self.device)
        last = torch.where(event, place, -PAST).cummax(dim=2).values  # (B, N, C)
        closing = place[self.patch - 1 :: self.patch]  # last instants of the patches
        at = self.closing(ends)
        return Windows(
            patches=patches.view(*patches.shape[:2], n_patches, -1),
            calendar=self._calendar[:, at].transpose(0, 1).contiguous(),  # as every batch, however it was made: sums
            market=self._market[:, at].transpose(0, 1).contiguous(),  # follow the layout in memory
            age=closing - last[:, :, closing],
            missing=~known.view(*known.shape[:2], n_patches, self.patch).any(dim=3),
        )

    def closing(self, ends: Tensor) -> Tensor:
        """Return the last instants of the patches of these windows (B, T), counted from the first of the past."""
        return ends[:, None] + torch.arange(self.patch - 1, self.context, self.patch, device=self.device)

    def _cut(self, panel: Tensor, ends: Tensor) -> Tensor:
        """Return windows (B, N, context * width) of a panel (N, S, width): a window is one run of memory."""
        n_symbols, n_slices = panel.shape[:2]
        width = panel.shape[2] if panel.ndim == 3 else 1
        shape = (n_slices - self.context + 1, n_symbols, self.context * width)
        return panel.as_strided(shape, (width, n_slices * width, 1)).index_select(0, ends)
