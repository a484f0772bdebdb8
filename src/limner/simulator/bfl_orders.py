"""What Black Forest Labs' endpoints take, draw and charge."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Size = tuple[int, int]

_MEGAPIXEL = 1024 * 1024
_SEED = 4_294_967_295
_Side2 = Annotated[int, Field(ge=64, le=4096, multiple_of=16)]
_Side1 = Annotated[int, Field(ge=256, le=1440, multiple_of=32)]
_Steps = Annotated[int, Field(ge=1, le=50)]
_Ratio = Annotated[str, Field(pattern=r"^[1-9]\d?:[1-9]\d?$")]


class Wish(BaseModel):
    """What every endpoint takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = ""
    seed: Annotated[int, Field(ge=0, le=_SEED)] | None = None
    prompt_upsampling: bool = False
    safety_tolerance: Annotated[int, Field(ge=0, le=6)] = 2
    output_format: Literal["jpeg", "png"] = "jpeg"

    @property
    def mask_sent(self) -> str | None:
        """White where the picture is to be painted anew."""
        return None

    @property
    def pictures(self) -> tuple[str, ...]:
        """The input pictures, the main one first, as they were sent."""
        named = {name: value for name, value in self if "image" in name}
        return tuple(value for value in named.values() if isinstance(value, str))

    def drawn(self, given: Size | None) -> Size:
        """The size that comes out; `given` is the size of the first input picture."""
        raise NotImplementedError


class _Sized(Wish):
    width: int
    height: int

    def drawn(self, given: Size | None) -> Size:
        return self.width, self.height


class _Flux2(_Sized):
    width: _Side2 = 1024
    height: _Side2 = 1024
    safety_tolerance: Annotated[int, Field(ge=0, le=5)] = 2
    input_image: str | None = None
    input_image_2: str | None = None
    input_image_3: str | None = None
    input_image_4: str | None = None
    input_image_5: str | None = None
    input_image_6: str | None = None
    input_image_7: str | None = None
    input_image_8: str | None = None

    @model_validator(mode="after")
    def _small_enough(self) -> Self:
        if self.width * self.height > 4 * _MEGAPIXEL:
            raise ValueError("more than 4 MP")
        return self


class _Flex(_Flux2):
    steps: _Steps = 50
    guidance: Annotated[float, Field(ge=1.5, le=10)] = 4.5


class _Flux1(_Sized):
    width: _Side1 = 1024
    height: _Side1 = 768
    image_prompt: str | None = None


class _Dev(_Flux1):
    steps: _Steps = 28
    guidance: Annotated[float, Field(ge=1.5, le=5)] = 3.0


class _Ultra(Wish):
    aspect_ratio: _Ratio = "16:9"
    raw: bool = False
    image_prompt: str | None = None

    def drawn(self, given: Size | None) -> Size:
        return _shaped(self.aspect_ratio, _FOUR_MEGAPIXELS)


class _Kontext(Wish):
    aspect_ratio: _Ratio | None = None
    input_image: str | None = None
    input_image_2: str | None = None
    input_image_3: str | None = None
    input_image_4: str | None = None

    def drawn(self, given: Size | None) -> Size:
        """The shape asked for, else the input's, else a square."""
        ratio = self.aspect_ratio or ("1:1" if given is None else _nearest(given))
        return _shaped(ratio, _ONE_MEGAPIXEL)


class _Fill(Wish):
    image: str
    mask: str | None = None
    steps: Annotated[int, Field(ge=15, le=50)] = 50
    guidance: Annotated[float, Field(ge=1.5, le=100)] = 60.0

    @property
    def mask_sent(self) -> str | None:
        return self.mask

    def drawn(self, given: Size | None) -> Size:
        return given or (1024, 1024)


_FOUR_MEGAPIXELS: dict[str, Size] = {
    "21:9": (3136, 1344),
    "16:9": (2752, 1536),
    "3:2": (2496, 1664),
    "4:3": (2368, 1792),
    "5:4": (2304, 1856),
    "1:1": (2048, 2048),
}
_ONE_MEGAPIXEL: dict[str, Size] = {
    "21:9": (1568, 672),
    "16:9": (1392, 752),
    "3:2": (1248, 832),
    "4:3": (1184, 880),
    "5:4": (1104, 944),
    "1:1": (1024, 1024),
}


def _shaped(ratio: str, sizes: dict[str, Size]) -> Size:
    """The size of a shape or of the same shape turned; of the nearest there is, when it is another."""
    if ratio in sizes:
        return sizes[ratio]
    across, down = (int(part) for part in ratio.split(":"))
    wide = _nearest((max(across, down), min(across, down)))
    width, height = sizes[wide]
    return (width, height) if across >= down else (height, width)


def _nearest(size: Size) -> str:
    def distance(name: str) -> float:
        width, height = _ONE_MEGAPIXEL[name]
        return abs(width / height - max(size) / min(size))

    name = min(_ONE_MEGAPIXEL, key=distance)
    return name if size[0] >= size[1] else ":".join(reversed(name.split(":")))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an endpoint takes; its credits for the first megapixel and each one begun after it; its time."""

    wish: type[Wish]
    first: str
    further: str = "0"
    seconds: float = 8.0
    edit_first: str | None = None
    """Where the first megapixel of an edit is dearer."""

    def credits(self, size: Size, *, edit: bool) -> Decimal:
        """Cents of a dollar."""
        begun = -(-size[0] * size[1] // _MEGAPIXEL)
        first = self.edit_first if edit and self.edit_first else self.first
        return Decimal(first) + (begun - 1) * Decimal(self.further)


ENDPOINTS = {
    "flux-2-pro": Endpoint(_Flux2, "3", "1.5", edit_first="4.5"),
    "flux-2-max": Endpoint(_Flux2, "7", "3", seconds=15.0),
    "flux-2-flex": Endpoint(_Flex, "5", seconds=15.0),
    "flux-2-klein-4b": Endpoint(_Flux2, "1.4", seconds=1.5),
    "flux-2-klein-9b": Endpoint(_Flux2, "1.5", seconds=2.0),
    "flux-pro-1.1": Endpoint(_Flux1, "4"),
    "flux-pro-1.1-ultra": Endpoint(_Ultra, "6", seconds=12.0),
    "flux-kontext-pro": Endpoint(_Kontext, "4"),
    "flux-kontext-max": Endpoint(_Kontext, "8", seconds=10.0),
    "flux-dev": Endpoint(_Dev, "2.5", seconds=6.0),
    "flux-pro-1.0-fill": Endpoint(_Fill, "5", seconds=10.0),
}
