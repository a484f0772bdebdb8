"""What OpenAI's clients may say about a picture, and the same in Limner's words."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from limner.api.errors import invalid
from limner.core.errors import InvalidRequest
from limner.core.prompting import Prompting
from limner.core.request import MAX_PROMPT, MAX_SEED, GenerateRequest, Operation, Preset

Quality = Literal[
    "auto", "low", "medium", "high", "xhigh", "max", "standard", "hd", "fast", "quality", "ultra"
]
PRESET: Mapping[Quality, Preset | None] = {
    "auto": None,
    "low": "fast",
    "fast": "fast",
    "medium": "standard",
    "standard": "standard",
    "high": "quality",
    "hd": "quality",
    "quality": "quality",
    "xhigh": "ultra",
    "max": "ultra",
    "ultra": "ultra",
}
CALLED = {
    "count": "n",
    "width": "size",
    "height": "size",
    "format": "output_format",
    "compression": "output_compression",
    "inputs": "image",
    "operation": "model",
}
"""Our field names as OpenAI's callers know them."""
_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")
# Told in the reference only: `GenerateRequest` is where they are checked, in words of its own.
_TOLD_TEXT = Field(json_schema_extra={"minLength": 1, "maxLength": MAX_PROMPT})
_TOLD_NAME = Field(json_schema_extra={"minLength": 1, "maxLength": 200})
_TOLD_USER = Field(json_schema_extra={"maxLength": 200})
_TOLD_SIZE = Field(json_schema_extra={"pattern": f"^(auto|{_SIZE.pattern})$"})
_DALLE_STYLES = ("vivid", "natural")


class PictureBody(BaseModel):
    """The fields that all of OpenAI's image endpoints share. Names not listed are left out, and told in
    `x-limner-ignored`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: Annotated[str, _TOLD_TEXT]
    model: Annotated[str, _TOLD_NAME] | None = None
    n: Annotated[int, Field(ge=1, le=10)] | None = None
    size: Annotated[str, _TOLD_SIZE] | None = None
    """`auto`, or width and height in pixels such as `512x512`."""
    quality: Quality | None = None
    """OpenAI's words or Limner's presets: low = fast, medium = standard, high = hd = quality, xhigh = max =
    ultra."""
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    background: Literal["auto", "opaque", "transparent"] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    """Default: `url` for `dall-e-*`, `b64_json` otherwise, as at OpenAI."""
    stream: bool | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    """Limner's own: the same seed draws the same picture."""
    provider: Annotated[str, _TOLD_NAME] | None = None
    """Limner's own: who is to draw it."""
    prompting: Prompting | None = None
    """Limner's own: how the prompt is to be rewritten before it is sent; without it, not at all."""
    style: Annotated[str, _TOLD_NAME] | None = None
    """A style of the model; OpenAI's `vivid` and `natural` are accepted and change nothing."""
    moderation: Literal["auto", "low"] | None = None
    """Accepted; what is refused is the server's to decide."""
    user: Annotated[str, _TOLD_USER] | None = None
    safety_identifier: Annotated[str, _TOLD_USER] | None = None

    @property
    def wants_url(self) -> bool:
        """Answer with addresses instead of bytes?"""
        if self.response_format is None:
            return not self.stream and (self.model or "").startswith("dall-e-")
        return self.response_format == "url"

    @property
    def unused(self) -> tuple[str, ...]:
        """Accepted names that change nothing here."""
        return ("style",) if self.style in _DALLE_STYLES else ()

    def order(
        self,
        operation: Operation = "generate",
        inputs: tuple[str, ...] = (),
        mask: str | None = None,
        strength: float | None = None,
    ) -> GenerateRequest:
        """The same wish in Limner's words. Raises `InvalidRequest` with the caller's field name."""
        if self.background == "transparent" and self.output_format == "jpeg":
            raise InvalidRequest("background: a JPEG cannot be transparent; use png or webp", "background")
        if self.stream and self.response_format == "url":
            raise InvalidRequest("response_format: a stream carries b64_json only", "response_format")
        width, height = self._sides()
        try:
            return GenerateRequest(
                operation=operation,
                prompt=self.prompt,
                prompting=self.prompting,
                inputs=inputs,
                mask=mask,
                strength=strength,
                model=self.model,
                provider=self.provider,
                count=self.n or 1,
                width=width,
                height=height,
                quality=PRESET[self.quality or "auto"],
                format=self.output_format or "png",
                compression=self.output_compression,
                seed=self.seed,
                style=None if self.style in _DALLE_STYLES else self.style,
                partial_images=(self.partial_images or 0) if self.stream else 0,
                options={"background": "transparent"} if self.background == "transparent" else {},
                user=self.safety_identifier or self.user or None,
            )
        except ValidationError as error:
            raise invalid(error, CALLED) from error

    def _sides(self) -> tuple[int | None, int | None]:
        if self.size is None or self.size == "auto":
            return None, None
        match = _SIZE.fullmatch(self.size)
        if match is None:
            raise InvalidRequest("size: must be auto or WIDTHxHEIGHT in pixels, such as 512x512", "size")
        return int(match[1]), int(match[2])
