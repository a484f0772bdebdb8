"""What the drawing loop asks of a model, whatever runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from limner.engine.protocol import ModelCard
from limner.engine.values import Array, Conditioning, Facts, Latents, Pixels, Prompt


class Backend(Protocol):
    """A loaded model. Used by one thread at a time.

    What a row gives must not depend on the rows beside it: a seed gives the same bytes, alone or in company.
    """

    facts: Facts
    device: str
    together: int
    """How many pictures are worth stepping in one call."""

    def encode(self, prompt: Prompt) -> Conditioning:
        """Both texts of one order."""
        ...

    def denoise(self, x: Array, t: Array, c: Array) -> Array:
        """[B, C, H, W], [B], [B, L, D] -> [B, C, H, W]; rows come in pairs, unconditional and conditional."""
        ...

    def decode(self, latents: Latents) -> Pixels:
        """Latents to a picture of ``factor`` times their sides."""
        ...

    def encode_pixels(self, pixels: Pixels) -> Latents:
        """The reverse of ``decode``."""
        ...


class Broken(Exception):
    """A model's files cannot be used. The message names the file and the way out."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be loaded; ``open`` raises ``Broken``, and so does ``check``, which loads nothing."""

    card: ModelCard
    open: Callable[[], Backend]
    check: Callable[[], None] = lambda: None
