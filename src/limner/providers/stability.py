"""Stability AI: one multipart order, one picture as its answer; a lost answer cannot be asked for again."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel

from limner.core.errors import Malformed, ProviderError, RateLimited, Refused, Rejected
from limner.core.request import Format
from limner.core.shapes import media_type
from limner.providers.answers import SHOWN, readable
from limner.providers.base import Call, Done, Health, Outcome, Provider, Recovery
from limner.providers.orders import file, given
from limner.wire import Answer, Part, by_status, retry_after_s

_BLOCKED_S = 60.0
_STRENGTH = 0.6
_FOR_ZERO = 4294967294
"""The seed sent for 0, which at this vendor is any seed."""


class _Dialect(BaseModel, frozen=True, extra="forbid"):
    path: Literal["generate/core", "generate/ultra", "generate/sd3", "upscale/fast", "upscale/conservative"]
    ratios: dict[str, str] = {}
    """The vendor's name for the shape of a size, by `WxH`: it takes no sizes."""
    formats: tuple[Format, ...] = ("png", "jpeg", "webp")
    scale: float | None = None
    """The only factor that an upscaler has; None when it has none to choose either."""


class _Fault(BaseModel):
    name: str = ""
    errors: tuple[str, ...] = ()
    message: str = ""  # the older shape of 401


class _Balance(BaseModel):
    credits: float


class Stability(Provider):
    """Stability AI's v2beta. Sizes are shapes of about one megapixel; no cancel, no list, no order id."""

    name = "stability"
    base_url = "https://api.stability.ai/"
    recovery = Recovery.BLIND
    key_env: ClassVar[tuple[str, ...]] = ("STABILITY_API_KEY",)
    timeout_s = 180.0

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By the status, but 403 is moderation or a missing right, and only the body's name tells which."""
        if status < 400:
            return None
        fault = readable(body, _Fault) or _Fault()
        why = f"{fault.name}: {' '.join(fault.errors) or fault.message}"[:SHOWN] if fault.name else ""
        said = f"{status}: {why}"
        if fault.name == "content_moderation":
            return Refused(said)
        if status == 429:
            return RateLimited(said, after_s=retry_after_s(headers, default=_BLOCKED_S))
        return by_status(status, headers, why.encode() or body)

    async def submit(self, call: Call) -> Outcome:
        """Order one picture and wait for it."""
        dialect = _Dialect.model_validate(call.dialect)
        path = f"v2beta/stable-image/{dialect.path}"
        form = _form(call, dialect)
        answer = await self.wire.send("POST", path, form=form, headers={"Accept": "image/*"}, order=True)
        return _done(answer)

    async def probe(self) -> Health:
        """Ask for the balance: an account without credit draws nothing."""
        balance = await self.wire.get("v1/user/balance", into=_Balance)
        return Health(ok=balance.credits > 0, reason="" if balance.credits > 0 else "no credits are left")


def _form(call: Call, dialect: _Dialect) -> list[Part]:
    wish = call.request
    fields: dict[str, str | None] = {
        "prompt": wish.prompt or None,
        "negative_prompt": wish.negative_prompt or None,
        "seed": None if wish.seed is None else str(wish.seed or _FOR_ZERO),
        "output_format": wish.format if wish.format in dialect.formats else "png",
        "style_preset": None if wish.style is None else wish.style.casefold(),
    }
    match dialect.path:
        case "generate/sd3":
            fields["model"] = call.model
            fields["mode"] = "image-to-image" if call.inputs else "text-to-image"
            fields["cfg_scale"] = None if wish.guidance_scale is None else f"{wish.guidance_scale:g}"
        case "upscale/fast":
            fields = {"output_format": fields["output_format"]}
        case "generate/core" | "generate/ultra" | "upscale/conservative":
            pass
    match wish.operation:
        case "image-to-image":
            fields["strength"] = f"{_STRENGTH if wish.strength is None else wish.strength:g}"
        case "generate":
            fields["aspect_ratio"] = dialect.ratios.get(f"{wish.width}x{wish.height}")
        case "upscale":
            _check_scale(wish.scale, dialect)
        case _:
            pass
    words = given(fields | {name: str(value) for name, value in wish.options.items()})
    return [*(Part(name, word) for name, word in words.items()), *(file("image", one) for one in call.inputs)]


def _check_scale(wanted: float | None, dialect: _Dialect) -> None:
    if wanted is None or wanted == dialect.scale:
        return
    able = "chooses the size itself" if dialect.scale is None else f"enlarges {dialect.scale:g} times"
    raise Rejected(f"{dialect.path} {able}; leave the scale out")


def _done(answer: Answer) -> Done:
    """The picture, unless it was blurred on purpose: that comes with 200 as well."""
    if not media_type(answer.body).startswith("image/"):
        raise Malformed(f"the answer is no picture: {answer.body[:SHOWN].decode('utf-8', 'replace')}")
    seed = answer.headers.get("seed", "")
    match answer.headers.get("finish-reason", "SUCCESS"):
        case "SUCCESS":
            return Done((answer.body,), seeds=(int(seed),) if seed.isascii() and seed.isdigit() else ())
        case "CONTENT_FILTERED":
            # Whether a blurred picture is charged for is not documented.
            raise Refused("CONTENT_FILTERED: the picture was blurred by moderation", billed="maybe")
        case word:
            raise Malformed(f"unknown finish-reason {word[:40]!r}")
