"""What goes from step to step: Prompt -> Conditioning -> Latents -> Pixels.

Shapes in comments: B rows, L tokens, D width of the text encoder, C latent channels, H and W latent sides.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Latents = NDArray[np.float32]  # [C, H, W], scaled to about unit variance
Pixels = NDArray[np.uint8]  # [height, width, 3], RGB

Schedule = Literal["squaredcos_cap_v2", "scaled_linear", "linear"]
Prediction = Literal["v_prediction", "epsilon", "sample"]
Spacing = Literal["trailing", "leading"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The two texts of one order; an empty ``negative`` is the plain unconditional text."""

    text: str
    negative: str = ""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The encoded texts of one order, and what could not be kept of them."""

    hidden: Array  # [2, L, D]: row 0 unconditional, row 1 conditional
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Size:
    """Sides in pixels."""

    width: int
    height: int

    @property
    def area(self) -> int:
        """Square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model was trained with: all that the drawing loop has to know about it."""

    channels: int
    factor: int  # pixels per latent, each way
    native_px: int  # side of the square pictures it was trained on
    schedule: Schedule
    train_steps: int
    prediction: Prediction
    spacing: Spacing
    preview_matrix: Array  # [C, 3]
    preview_bias: Array  # [3]
