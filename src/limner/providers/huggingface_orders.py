"""Hugging Face's partners: what each is sent for an order. Pure."""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from limner.core.errors import Rejected
from limner.providers.base import Call
from limner.providers.orders import Fields, given, shape

Partner = Literal["hf-inference", "fal-ai", "together", "nscale", "replicate", "wavespeed", "zai-org"]

_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")


@dataclass(frozen=True, slots=True)
class Order:
    """One POST, below the router's address."""

    partner: Partner
    path: str
    body: Fields
    headers: dict[str, str]


class _Dialect(BaseModel, frozen=True, extra="forbid"):
    partner: Partner = "hf-inference"
    id: str | None = None
    """The partner's name of the model, None when it is Hugging Face's."""
    ratios: tuple[str, ...] = ()
    """Shapes to choose from, for models that take no width and height."""


def order(call: Call) -> Order:
    """What is sent. Raises `Rejected` for a model's name that would lead elsewhere."""
    dialect = _Dialect.model_validate(call.dialect)
    model, wish = dialect.id or call.model, call.request
    if not _NAME.fullmatch(model):
        raise Rejected(f"{model[:80]!r} is no model at Hugging Face; its name is owner/name")
    prompt: Fields = {"prompt": wish.prompt}
    size = f"{wish.width}x{wish.height}"
    sides: Fields = {"width": wish.width, "height": wish.height}
    headers: dict[str, str] = {}
    match dialect.partner:
        case "hf-inference":
            path, headers = f"models/{model}", {"Accept": "image/png"}
            body: Fields = {"inputs": wish.prompt, "parameters": sides | _common(call)}
        case "fal-ai":
            path, kind = model, "jpeg" if wish.format == "jpeg" else "png"
            body = prompt | {"image_size": sides, "output_format": kind} | _common(call)
        case "together":
            path = "v1/images/generations"
            body = {"model": model, "response_format": "base64"} | prompt | sides | _common(call, "steps")
        case "nscale":
            path = "v1/images/generations"
            body = {"model": model, "response_format": "b64_json", "size": size} | prompt | _common(call)
        case "replicate":
            path, headers = f"v1/models/{model}/predictions", {"Prefer": "wait"}
            body = {"input": prompt | shape(wish, dialect.ratios) | _common(call)}
        case "wavespeed":
            path, body = f"api/v3/{model}", prompt | sides | _common(call)
        case "zai-org":
            path = "api/paas/v4/async/images/generations"
            body = {"model": model, "size": size} | prompt | _common(call)
    return Order(dialect.partner, f"{dialect.partner}/{path}", body, headers)


def _common(call: Call, steps: str = "num_inference_steps") -> Fields:
    """What most partners take under one name, without what is not set."""
    wish = call.request
    fields: Fields = {
        steps: wish.steps,
        "guidance_scale": wish.guidance_scale,
        "negative_prompt": wish.negative_prompt,
        "seed": wish.seed,
    }
    return given(fields | wish.options)
