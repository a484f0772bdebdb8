"""Ollama's models on a simulated server: what each can do, what it refuses, what it is asked to draw."""

import io
import re
from base64 import b64decode
from dataclasses import dataclass

from PIL import Image

_LEVELS = ("high", "medium", "low", "max")


@dataclass(frozen=True, slots=True)
class Installed:
    """One model on the server."""

    abilities: tuple[str, ...]
    steps: int = 0
    size_bytes: int = 2_019_393_189


MODELS = {
    "x/z-image-turbo:latest": Installed(("image",), 9, 12_847_313_902),
    "x/flux2-klein:latest": Installed(("image", "vision"), 4, 5_724_316_221),
    "x/flux2-klein:9b": Installed(("image", "vision"), 4, 11_910_416_020),
    "gpt-oss:20b": Installed(("completion", "tools", "thinking"), size_bytes=13_793_441_244),
    "llama3.2:latest": Installed(("completion", "tools")),
}


class Wrong(Exception):
    """An answer in place of what was asked for."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture to draw."""

    prompt: str
    width: int
    height: int
    steps: int
    seed: int
    source: bytes | None


def numbers(version: str) -> tuple[int, ...]:
    """For comparing versions."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def tagged(name: str) -> str:
    """The whole name: one without a tag means the latest."""
    return name if ":" in name else f"{name}:latest"


def source_of(images: list[str]) -> bytes | None:
    """The first input picture. Raises `Wrong`."""
    try:
        found = [b64decode(image, validate=True) for image in images]
        for data in found:
            Image.open(io.BytesIO(data)).load()
    except (ValueError, OSError) as error:
        raise Wrong(400, "illegal base64 data at input byte 0") from error
    return found[0] if found else None


def thinking(think: bool | str | None, name: str, model: Installed) -> str | None:
    """How much is thought. gpt-oss always thinks, and takes levels only. Raises `Wrong`."""
    if isinstance(think, str) and think not in _LEVELS:
        wanted = '"high", "medium", "low", "max", true, or false'
        raise Wrong(400, f'invalid think value: "{think}" (must be {wanted})')
    if "thinking" not in model.abilities:
        if think:
            raise Wrong(400, f'"{name.removesuffix(":latest")}" does not support thinking')
        return None
    return think if isinstance(think, str) else "medium"
