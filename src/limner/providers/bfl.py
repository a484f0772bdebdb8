"""Black Forest Labs: orders are queued, and asked for at the address that comes back. No cancel, no list."""

from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from limner.core.errors import Lost, Malformed, ProviderError, RateLimited, Refused, Rejected
from limner.core.shapes import nearest_ratio
from limner.providers.base import Call, Done, Health, Outcome, Pending, Provider, Recovery, Ticket
from limner.providers.masks import white_where_clear
from limner.wire import by_status, retry_after_s

Fields = dict[str, JsonValue]

_POLL_S = 0.5


class _Dialect(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    ratios: tuple[str, ...] = ()
    """Shapes to choose from, for models that take no width and height."""
    picture: Literal["input_image", "image"] = "input_image"
    """What an input picture is called; further ones are numbered from 2."""
    sized: bool = True
    """False when the picture comes out as large as its input."""


class _Accepted(BaseModel):
    id: str
    polling_url: str
    cost: Annotated[Decimal, Field(ge=0)] | None = None
    """Credits of one US cent."""


class _Result(BaseModel):
    sample: str
    seed: int | None = None


class _Task(BaseModel):
    status: str
    result: _Result | None = None
    details: JsonValue = None

    @property
    def said(self) -> str:
        """For people."""
        return f"{self.status}: {self.details}"[:200] if self.details else self.status


class _Wait(BaseModel):
    retry_after: Annotated[float, Field(ge=0, le=3600)]


class Bfl(Provider):
    """A ticket is the polling address; without one an order cannot be found again, and may be charged."""

    name = "bfl"
    base_url = "https://api.bfl.ai/"
    recovery = Recovery.BLIND
    key_env = ("BFL_API_KEY",)
    hosts = ("bfl.ai",)
    timeout_s = 60.0

    @staticmethod
    def auth(key: str) -> dict[str, str]:
        """A header of its own."""
        return {"x-key": key} if key else {}

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By status; how long to stay away is said in the body."""
        error = by_status(status, headers, body)
        if not isinstance(error, RateLimited):
            return error
        try:
            return RateLimited(str(error), after_s=_Wait.model_validate_json(body).retry_after)
        except ValueError:
            return RateLimited(str(error), after_s=retry_after_s(headers, default=5.0))

    async def submit(self, call: Call) -> Outcome:
        """Queue it; the answer tells what it costs."""
        dialect = _Dialect.model_validate(call.dialect)
        fields = _fields(call, dialect)
        if call.mask is not None:
            fields["mask"] = _text(await white_where_clear(call.mask))
        order = await self.wire.post(f"v1/{call.model}", into=_Accepted, json=fields)
        cost = None if order.cost is None else str(order.cost / 100)
        return Pending({"url": order.polling_url, "cost_usd": cost}, _POLL_S)

    async def poll(self, ticket: Ticket) -> Outcome:
        """Ask at the address they gave: it names the region that has the order."""
        return _outcome(ticket, await self.wire.get(str(ticket["url"]), into=_Task))

    async def probe(self) -> Health:
        """Ask for the credit that is left."""
        await self.wire.send("GET", "v1/credits")
        return Health(ok=True)


def _fields(call: Call, dialect: _Dialect) -> Fields:
    wish = call.request
    fields: Fields = {
        "prompt": wish.prompt,
        "seed": wish.seed,
        "steps": wish.steps,
        "guidance": wish.guidance_scale,
        "output_format": "jpeg" if wish.format == "jpeg" else "png",
        **_shape(call, dialect),
        **_pictures(call, dialect.picture),
        **wish.options,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _shape(call: Call, dialect: _Dialect) -> Fields:
    width, height = call.request.width or 1, call.request.height or 1
    if not dialect.sized:
        return {}
    if dialect.ratios:
        return {"aspect_ratio": nearest_ratio(width, height, dialect.ratios)}
    return {"width": width, "height": height}


def _pictures(call: Call, name: str) -> Fields:
    names = (name, *(f"{name}_{place}" for place in range(2, len(call.inputs) + 1)))
    return {one: _text(picture) for one, picture in zip(names, call.inputs, strict=False)}


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _outcome(ticket: Ticket, task: _Task) -> Outcome:
    match task.status:
        case "Ready":
            if task.result is None:
                raise Malformed("ready without a picture")
            seeds = () if task.result.seed is None else (task.result.seed,)
            cost = ticket.get("cost_usd")
            return Done(
                links=(task.result.sample,), seeds=seeds, cost_usd=None if cost is None else str(cost)
            )
        case "Request Moderated" | "Content Moderated":
            # Whether these are charged is not said anywhere.
            raise Refused(task.said, billed="maybe")
        case "Error":  # final, and not a fault of the asking: that would be waited out
            raise Rejected(task.said)
        case "Task not found":
            raise Lost(task.said)
        case _:
            # New words for waiting turn up now and then, so that every other word is one.
            return Pending(ticket, _POLL_S)
