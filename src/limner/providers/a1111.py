"""AUTOMATIC1111's web UI and its kin (Forge, SD.Next): one blocking call, the pictures in its answer."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from pydantic import BaseModel, JsonValue, RootModel, ValidationError

from limner.core.errors import Malformed, ProviderError, Rejected, Unavailable
from limner.providers.base import Call, Done, Health, Outcome, Provider, Recovery
from limner.wire import by_status

M = TypeVar("M", bound=BaseModel)
_SHOWN = 200
_API = "sdapi/v1/"
_OUR_FAULTS = ("HTTPException", "AssertionError", "ValueError")  # other exceptions may pass


class _Dialect(BaseModel, frozen=True, extra="forbid"):
    distilled: bool = False
    """Guidance is the model's own, as for FLUX on Forge, and classifier-free guidance is off."""


class _Checkpoint(BaseModel):
    title: str
    model_name: str = ""
    hash: str | None = None


_Checkpoints = RootModel[tuple[_Checkpoint, ...]]


class _Drawn(BaseModel):
    images: tuple[str, ...]
    info: str = ""


class _Info(BaseModel):
    """What `info` tells, which is JSON in a string."""

    all_seeds: tuple[int, ...] = ()
    index_of_first_image: int | None = None
    sd_model_hash: str | None = None


class _Enlarged(BaseModel):
    image: str


class _Field(BaseModel):
    loc: tuple[str | int, ...]
    msg: str


class _Said(BaseModel):
    """An error in any of its shapes: `detail` is a text, or a list of the fields at fault."""

    error: str = ""
    detail: str | tuple[_Field, ...] = ""
    errors: str = ""

    def __str__(self) -> str:
        if isinstance(self.detail, str):
            return " ".join(filter(None, (self.error, self.detail, self.errors)))
        return "; ".join(f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in self.detail)


class A1111(Provider):
    """One picture after the other behind one lock; an answer that is lost cannot be asked for again."""

    name = "a1111"
    base_url = "http://127.0.0.1:7860/"
    recovery = Recovery.BLIND
    url_env = ("A1111_URL",)
    needs_key = False
    self_hosted = True
    timeout_s: ClassVar[float] = 1800.0

    @staticmethod
    def auth(key: str) -> dict[str, str]:
        """`user:password` as its own basic authentication; another key is a bearer token for a proxy."""
        if ":" in key:
            return {"Authorization": f"Basic {b64encode(key.encode()).decode()}"}
        return Provider.auth(key)

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """A full GPU passes; a missing path means that the server was started without its API."""
        said = _readable(body, _Said)
        match status:
            case 404 if said.detail in ("", "Not Found"):
                return Rejected("404: no API there; start the server with --api")
            case 400 | 404 | 422:
                return Rejected(f"{status}: {said}"[:_SHOWN])
            case 500 if said.error.endswith("OutOfMemoryError"):
                return Unavailable("out of GPU memory")
            case 500 if said.detail or said.error in _OUR_FAULTS:
                return Rejected(f"500: {said}"[:_SHOWN])
            case _:
                return by_status(status, headers, str(said).encode() or body)

    async def submit(self, call: Call) -> Outcome:
        """Draw, change or enlarge; the answer holds the pictures."""
        if call.request.operation == "upscale":
            return await self._enlarge(call)
        checkpoint = await self._checkpoint(call.model) if call.model else None
        fields = _fields(call, checkpoint) | _image_fields(call)
        path = "img2img" if call.inputs else "txt2img"
        drawn = await self.wire.post(_API + path, into=_Drawn, json=fields)
        info = _readable(drawn.info, _Info)
        if checkpoint and checkpoint.hash and info.sd_model_hash not in (None, "", checkpoint.hash):
            raise Rejected(f"the server drew with another checkpoint than {checkpoint.title}")
        return _done(drawn, info, call.request.count)

    async def probe(self) -> Health:
        """Is the server up, with its API? It answers while it draws."""
        await self.wire.get(f"{_API}memory", into=_Said)
        return Health(ok=True)

    async def _checkpoint(self, name: str) -> _Checkpoint:
        """The server's checkpoint of that name: an unknown one would be ignored without a word."""
        known = (await self.wire.get(f"{_API}sd-models", into=_Checkpoints)).root
        for one in known:
            if name in (one.title, one.model_name, one.title.rpartition(" [")[0]):
                return one
        names = ", ".join(one.model_name or one.title for one in known)
        raise Rejected(f"the server has no checkpoint {name[:80]!r}; it has: {names}"[: 2 * _SHOWN])

    async def _enlarge(self, call: Call) -> Done:
        fields: JsonValue = {
            "image": b64encode(call.inputs[0]).decode(),
            "upscaling_resize": call.request.scale or 2.0,
            "upscaler_1": call.request.options.get("upscaler"),
        }
        enlarged = await self.wire.post(f"{_API}extra-single-image", into=_Enlarged, json=fields)
        return Done((_bytes(enlarged.image),))


def _fields(call: Call, checkpoint: _Checkpoint | None) -> dict[str, JsonValue]:
    wish, dialect = call.request, _Dialect.model_validate(call.dialect)
    fields: dict[str, JsonValue] = {
        "prompt": ", ".join(filter(None, (wish.prompt, wish.style))),
        "negative_prompt": wish.negative_prompt or "",
        "width": wish.width,
        "height": wish.height,
        "steps": wish.steps,
        "seed": -1 if wish.seed is None else wish.seed,
        "n_iter": wish.count,
        "cfg_scale": 1.0 if dialect.distilled else wish.guidance_scale,
        "distilled_cfg_scale": wish.guidance_scale if dialect.distilled else None,
        "sampler_name": wish.options.get("sampler_name"),
        "scheduler": wish.options.get("scheduler"),
    }
    if checkpoint is not None:
        # It stays loaded: to load the one before again would take as long as several pictures.
        fields["override_settings"] = {"sd_model_checkpoint": checkpoint.title}
        fields["override_settings_restore_afterwards"] = False
    return {name: value for name, value in fields.items() if value is not None}


def _image_fields(call: Call) -> dict[str, JsonValue]:
    if not call.inputs:
        return {}
    # Resize mode 1 crops where the shapes differ, instead of stretching.
    fields: dict[str, JsonValue] = {"init_images": [b64encode(call.inputs[0]).decode()], "resize_mode": 1}
    if call.request.strength is not None:
        fields["denoising_strength"] = call.request.strength
    if call.mask is not None:
        # It paints where the alpha is opaque, we where it is transparent; fill 1 starts from what is there.
        fields |= {"mask": b64encode(call.mask).decode(), "inpainting_mask_invert": 1}
        fields |= {"inpainting_fill": 1, "inpaint_full_res": False}
    return fields


def _done(drawn: _Drawn, info: _Info, count: int) -> Done:
    """The pictures without the grid that may come before them."""
    number, first = len(info.all_seeds) or count, info.index_of_first_image
    if first is None:
        first = max(0, len(drawn.images) - number)
    images = tuple(_bytes(image) for image in drawn.images[first : first + number])
    if not images:
        raise Malformed("the answer holds no picture")
    return Done(images, seeds=info.all_seeds[: len(images)])


def _readable(text: str | bytes, into: type[M]) -> M:
    """What can be read of what is told beside the pictures, or instead of them."""
    try:
        return into.model_validate_json(text)
    except ValidationError:
        return into()


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text.rpartition(",")[2], validate=True)
    except ValueError as error:
        raise Malformed(f"a picture is no base64: {text[:40]!r}") from error
