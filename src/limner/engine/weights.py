"""A model's folder on disk: ``model.json`` and the files it names, each checked against its digest."""

import hashlib
import re
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from limner.engine.backend import Broken
from limner.engine.protocol import ModelCard
from limner.engine.values import Facts, Prediction, Schedule, Spacing

STARTER = Path(__file__).parent / "starter"
WAY_OUT = "reinstall the package: pip install --force-reinstall limner"

Colour = tuple[float, float, float]


class Preview(BaseModel):
    """Linear map from latents to RGB in 0..1."""

    matrix: tuple[Colour, ...]
    bias: Colour


class Manifest(BaseModel):
    """``model.json``. It may have other fields, such as the vocabulary, that are not the engine's."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(min_length=1)]
    version: str
    latent_channels: int
    factor: int
    max_tokens: int
    pad_id: int
    unk_id: int
    schedule: Schedule
    train_steps: int
    prediction: Prediction
    spacing: Spacing
    native_px: int
    default_steps: int
    default_guidance: float
    preview: Preview
    files: dict[str, str]  # name -> sha256

    @property
    def id(self) -> str:
        """The name as an identifier."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def facts(self) -> Facts:
        """What the drawing loop needs."""
        return Facts(
            channels=self.latent_channels,
            factor=self.factor,
            native_px=self.native_px,
            schedule=self.schedule,
            train_steps=self.train_steps,
            prediction=self.prediction,
            spacing=self.spacing,
            preview_matrix=np.array(self.preview.matrix, np.float32),
            preview_bias=np.array(self.preview.bias, np.float32),
        )


def manifest(folder: Path) -> Manifest:
    """Read ``model.json``. Raises ``Broken``."""
    path = folder / "model.json"
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Broken(f"{path}: {error.strerror}; {WAY_OUT}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Broken(f"{path}: {where or 'not JSON'}: {first['msg']}; {WAY_OUT}") from error


def read(folder: Path, name: str, known: Manifest) -> bytes:
    """One file whose digest is right. Raises ``Broken``."""
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Broken(f"{path}: {error.strerror}; {WAY_OUT}") from error
    if hashlib.sha256(content).hexdigest() != known.files.get(name):
        raise Broken(f"{path}: not the file model.json describes (sha256 differs); {WAY_OUT}")
    return content


def card(folder: Path, known: Manifest) -> ModelCard:
    """The model as the engine lists it before it is loaded."""
    return ModelCard(
        id=known.id,
        name=known.name,
        version=known.version,
        loaded=False,
        bytes=sum((folder / name).stat().st_size for name in known.files if (folder / name).exists()),
        native_px=known.native_px,
        default_steps=known.default_steps,
        default_guidance=known.default_guidance,
    )
