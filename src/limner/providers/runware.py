"""Runware: one address that takes lists of tasks. We name the task, so that no order is placed twice."""

import re
from asyncio import to_thread
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel, Field, JsonValue, ValidationError

from limner.core import errors
from limner.core.errors import Lost, Malformed, ProviderError, RateLimited, Refused, Rejected, Unauthorized
from limner.providers.answers import SHOWN
from limner.providers.base import Call, Done, Health, Outcome, Pending, Provider, Recovery, Ticket
from limner.providers.masks import white_where_clear
from limner.providers.orders import Fields, data_url, given
from limner.wire import by_status, retry_after_s


class _Dialect(BaseModel, frozen=True):
    """Where a model takes its pictures: beside the prompt, as it used to be, or below `inputs`."""

    inputs: Literal["beside", "below"] = "beside"


class _Fault(BaseModel):
    code: str = "unknown"
    message: str = ""


class _Item(BaseModel):
    task: str = Field("", alias="taskUUID")
    status: Literal["pending", "processing", "success", "error"] | None = None
    id: str | None = Field(None, alias="imageUUID")
    url: str | None = Field(None, alias="imageURL")
    seed: int | None = None
    cost: Decimal | None = None
    error: _Fault = _Fault()


class _Answer(BaseModel):
    """Results and errors may come together, and some errors come bare."""

    data: tuple[_Item, ...] = ()
    errors: tuple[_Fault, ...] = ()
    error: _Fault | None = None

    @property
    def faults(self) -> tuple[_Fault, ...]:
        return self.errors if self.error is None else (*self.errors, self.error)


class _Taken(Rejected):
    """The task's id is in use: the order has arrived before."""


_MEANINGS: tuple[tuple[str, type[ProviderError]], ...] = (
    (
        "ontentPolicyViolation|ContentDetected|^invalidProviderContent|^(prompt|image)Blocked|^moderation",
        Refused,
    ),
    ("ApiKey|uthenticat|^token|^unauthorized|^forbidden|ermission|Credentials|Suspended", Unauthorized),
    ("^thirdParty.*(Credits|Quota|Balance)", Rejected),  # of this model's maker: the account is well
    ("Credits|Quota|Balance", Unauthorized),
    ("[rR]ateLimit", RateLimited),
    ("^conflictTaskUUID$", _Taken),
    ("[tT]imeout|^provider|^(inference|internalServer)Error$", errors.TimedOut),
    ("^(noAvailableServer|modelNotReady|modelUnavailable|serviceUnavailable)$", errors.Unavailable),
    ("NotFound$", Lost),
)
"""By the shape of an error's code, in this order: the vendor's catalogue of codes is large and changes."""


class Runware(Provider):
    """Tasks are accepted, then asked for by our own id. No cancel: what was begun is charged."""

    name = "runware"
    base_url = "https://api.runware.ai/v1/"
    recovery = Recovery.NAMED
    concurrency = 4  # what its makers advise per key
    key_env = ("RUNWARE_API_KEY",)

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By the first error's code, by status where the body has none."""
        try:
            return _meaning(_Answer.model_validate_json(body).faults[0], headers) if status >= 400 else None
        except (ValidationError, IndexError):
            return by_status(status, headers, body)

    async def submit(self, call: Call) -> Outcome:
        """Place the task under our id; that the id is taken proves that an earlier try arrived."""
        ticket: Ticket = {"id": call.uuid, "count": call.request.count}
        if call.mask is not None:
            call = replace(call, mask=await white_where_clear(call.mask))
        try:
            said = await self.wire.post("", into=_Answer, json=[await to_thread(_task, call)])
            if said.faults and not said.data:
                raise _meaning(said.faults[0])
            return _outcome(ticket, said)
        except (_Taken, Malformed):
            return Pending(ticket)  # whatever was to be said: the vendor can be asked by the id
        except Lost as error:  # a model, since there is no ticket yet
            raise Rejected(str(error)) from error

    async def poll(self, ticket: Ticket) -> Outcome:
        """All that is finished comes with every answer."""
        return _outcome(ticket, await self._ask("getResponse", str(ticket["id"])))

    async def find(self, call: Call) -> Ticket | None:
        """Ask by our id."""
        try:
            await self._ask("getResponse", call.uuid)
            return {"id": call.uuid, "count": call.request.count}
        except Lost:
            return None

    async def probe(self) -> Health:
        """Look at the account. Raises `Unauthorized` for a bad key."""
        await self._ask("accountManagement", str(uuid4()), operation="getDetails")
        return Health(ok=True)

    async def _ask(self, what: str, task: str, **more: JsonValue) -> _Answer:
        """Costs nothing. An error is raised when it is about the asking, else it is the task's own."""
        said = await self.wire.ask("", into=_Answer, json=[more | {"taskType": what, "taskUUID": task}])
        for error in map(_meaning, said.faults):
            if isinstance(error, Lost | RateLimited | Unauthorized):
                raise error
        return said


def _task(call: Call) -> JsonValue:
    """The order. What the model takes none of is None in the request, and is left out."""
    wish = call.request
    task: Fields = {"taskType": "imageInference", "taskUUID": call.uuid, "model": call.model}
    task |= {"outputType": "URL", "outputFormat": {"jpeg": "JPG"}.get(wish.format, wish.format.upper())}
    task |= {"includeCost": True, "deliveryMethod": "async", **_pictures(call), **wish.options}
    if wish.operation == "upscale":
        scale = wish.scale or 2.0
        return task | {"taskType": "upscale", "upscaleFactor": int(scale) if scale.is_integer() else scale}
    task |= {"positivePrompt": wish.prompt, "numberResults": wish.count, "CFGScale": wish.guidance_scale}
    task |= {"width": wish.width, "height": wish.height, "steps": wish.steps, "seed": wish.seed}
    task |= {"negativePrompt": wish.negative_prompt or None, "strength": wish.strength}
    return given(task)


def _pictures(call: Call) -> Fields:
    """Edits and enlargements are new enough to have their pictures below `inputs` with every model."""
    shown: list[JsonValue] = [data_url(picture) for picture in call.inputs]
    match call.request.operation:
        case "generate":
            return {}
        case "edit":
            return {"inputs": {"referenceImages": shown}}
        case "upscale":
            return {"inputs": {"image": shown[0]}}
        case "image-to-image" | "variation" | "inpaint":
            seed = {"seedImage": shown[0]}
    if call.mask is not None:
        seed["maskImage"] = data_url(call.mask)
    return {"inputs": seed} if _Dialect.model_validate(call.dialect).inputs == "below" else seed


def _outcome(ticket: Ticket, said: _Answer) -> Outcome:
    """Done when all pictures are there, or all that will come; when none will, an error that ends it."""
    mine = [item for item in said.data if item.task == ticket["id"]]
    if any(item.status == "success" and not item.url for item in mine):
        raise Malformed(f"task {ticket['id']} succeeded without a picture")
    made = {item.id or item.url: item for item in mine if item.url}
    faults = [*said.faults, *(item.error for item in mine if item.status == "error")]
    missing = int(str(ticket["count"])) - len(made)
    if any(item.status in ("pending", "processing") for item in mine) or (missing > 0 and not faults):
        return Pending(ticket, fraction=len(made) / (len(made) + missing))
    if not made:
        error = _meaning(faults[0])
        raise error if isinstance(error, Refused) else Rejected(str(error))
    costs = [item.cost for item in made.values() if item.cost is not None]
    seeds = tuple(item.seed for item in made.values() if item.seed is not None)
    cost_usd = str(sum(costs)) if len(costs) == len(made) else None
    return Done(links=tuple(item.url for item in made.values() if item.url), seeds=seeds, cost_usd=cost_usd)


def _meaning(fault: _Fault, headers: Mapping[str, str] | None = None) -> ProviderError:
    said = f"{fault.code}: {fault.message}"[:SHOWN]
    kind = next((kind for shape, kind in _MEANINGS if re.search(shape, fault.code)), Rejected)
    return RateLimited(said, retry_after_s(headers or {})) if kind is RateLimited else kind(said)
