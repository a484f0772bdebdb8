"""AUTOMATIC1111's web UI and its kin (Forge, SD.Next): one blocking call, the pictures in its answer."""

from base64 import b64encode
from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, RootModel

from limner.core.errors import Malformed, ProviderError, Rejected, Unavailable
from limner.providers.answers import SHOWN, Encoded, readable
from limner.providers.base import Call, Done, Outcome, Provider, Recovery
from limner.providers.orders import Fields, base64, given
from limner.wire import by_status

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
    images: tuple[Encoded, ...]
    info: str = ""


class _Info(BaseModel):
    """What `info` tells, which is JSON in a string."""

    all_seeds: tuple[int, ...] = ()
    index_of_first_image: int | None = None
    sd_model_hash: str | None = None


class _Enlarged(BaseModel):
    image: Encoded


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
    concurrency = 1  # one after the other: what waits, waits in our line
    url_env = ("A1111_URL",)
    needs_key = False
    self_hosted = True
    timeout_s: ClassVar[float] = 1800.0
    probe_path = f"{_API}memory"  # which answers while the server draws

    @classmethod
    def auth(cls, key: str) -> dict[str, str]:
        """`user:password` as its own basic authentication; another key is a bearer token for a proxy."""
        if ":" in key:
            return {"Authorization": f"Basic {b64encode(key.encode()).decode()}"}
        return super().auth(key)

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """A full GPU passes; a missing path means that the server was started without its API."""
        said = readable(body, _Said) or _Said()
        match status:
            case 404 if said.detail in ("", "Not Found"):
                return Rejected("404: no API there; start the server with --api")
            case 400 | 404 | 422:
                return Rejected(f"{status}: {said}"[:SHOWN])
            case 500 if said.error.endswith("OutOfMemoryError"):
                return Unavailable("out of GPU memory")
            case 500 if said.detail or said.error in _OUR_FAULTS:
                return Rejected(f"500: {said}"[:SHOWN])
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
        info = readable(drawn.info, _Info) or _Info()
        if checkpoint and checkpoint.hash and info.sd_model_hash not in (None, "", checkpoint.hash):
            raise Rejected(f"the server drew with another checkpoint than {checkpoint.title}")
        return _done(drawn, info, call.request.count)

    async def _checkpoint(self, name: str) -> _Checkpoint:
        """The server's checkpoint of that name: an unknown one would be ignored without a word."""
        known = (await self.wire.get(f"{_API}sd-models", into=_Checkpoints)).root
        for one in known:
            if name in (one.title, one.model_name, one.title.rpartition(" [")[0]):
                return one
        names = ", ".join(one.model_name or one.title for one in known)
        raise Rejected(f"the server has no checkpoint {name[:80]!r}; it has: {names}"[: 2 * SHOWN])

    async def _enlarge(self, call: Call) -> Done:
        fields: Fields = {
            "image": base64(call.inputs[0]),
            "upscaling_resize": call.request.scale or 2.0,
            "upscaler_1": call.request.options.get("upscaler"),
        }
        enlarged = await self.wire.post(f"{_API}extra-single-image", into=_Enlarged, json=fields)
        return Done((enlarged.image,))


def _fields(call: Call, checkpoint: _Checkpoint | None) -> Fields:
    wish, dialect = call.request, _Dialect.model_validate(call.dialect)
    fields: Fields = {
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
    return given(fields)


def _image_fields(call: Call) -> Fields:
    if not call.inputs:
        return {}
    # Resize mode 1 crops where the shapes differ, instead of stretching.
    fields: Fields = {"init_images": [base64(call.inputs[0])], "resize_mode": 1}
    if call.request.strength is not None:
        fields["denoising_strength"] = call.request.strength
    if call.mask is not None:
        # It paints where the alpha is opaque, we where it is transparent; fill 1 starts from what is there.
        fields |= {"mask": base64(call.mask), "inpainting_mask_invert": 1}
        fields |= {"inpainting_fill": 1, "inpaint_full_res": False}
    return fields


def _done(drawn: _Drawn, info: _Info, count: int) -> Done:
    """The pictures without the grid that may come before them."""
    number, first = len(info.all_seeds) or count, info.index_of_first_image
    if first is None:
        first = max(0, len(drawn.images) - number)
    images = drawn.images[first : first + number]
    if not images:
        raise Malformed("the answer holds no picture")
    return Done(images, seeds=info.all_seeds[: len(images)])
