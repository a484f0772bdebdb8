"""Black Forest Labs: orders are queued, and asked for at the address that comes back. No cancel, no list."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from limner.core.errors import Lost, Malformed, ProviderError, RateLimited, Refused, Rejected
from limner.providers.answers import SHOWN, wait_s
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket
from limner.providers.masks import white_where_clear
from limner.providers.orders import Fields, base64, given, shape
from limner.wire import by_status

_POLL_S = 0.5


class _Dialect(BaseModel, frozen=True, extra="forbid"):
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
        return f"{self.status}: {self.details}"[:SHOWN] if self.details else self.status


class Bfl(Provider):
    """A ticket is the polling address; without one an order cannot be found again, and may be charged."""

    name = "bfl"
    base_url = "https://api.bfl.ai/"
    recovery = Recovery.BLIND
    concurrency = 24  # active tasks; one more is a 429
    key_env = ("BFL_API_KEY",)
    key_header, key_prefix = "x-key", ""
    hosts = ("bfl.ai",)
    timeout_s = 60.0
    probe_path = "v1/credits"

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By status; how long to stay away is said in the body."""
        error = by_status(status, headers, body)
        if isinstance(error, RateLimited):
            return RateLimited(str(error), after_s=wait_s(body, headers, default=5.0))
        return error

    async def submit(self, call: Call) -> Outcome:
        """Queue it; the answer tells what it costs."""
        dialect = _Dialect.model_validate(call.dialect)
        fields = _fields(call, dialect)
        if call.mask is not None:
            fields["mask"] = base64(await white_where_clear(call.mask))
        order = await self.wire.post(f"v1/{call.model}", into=_Accepted, json=fields)
        cost = None if order.cost is None else str(order.cost / 100)
        return Pending({"url": order.polling_url, "cost_usd": cost}, _POLL_S)

    async def poll(self, ticket: Ticket) -> Outcome:
        """Ask at the address they gave: it names the region that has the order."""
        return _outcome(ticket, await self.wire.get(str(ticket["url"]), into=_Task))


def _fields(call: Call, dialect: _Dialect) -> Fields:
    wish = call.request
    fields: Fields = {
        "prompt": wish.prompt,
        "seed": wish.seed,
        "steps": wish.steps,
        "guidance": wish.guidance_scale,
        "output_format": "jpeg" if wish.format == "jpeg" else "png",
        **(shape(wish, dialect.ratios) if dialect.sized else {}),
        **_pictures(call, dialect.picture),
        **wish.options,
    }
    return given(fields)


def _pictures(call: Call, name: str) -> Fields:
    names = (name, *(f"{name}_{place}" for place in range(2, len(call.inputs) + 1)))
    return {one: base64(picture) for one, picture in zip(names, call.inputs, strict=False)}


def _outcome(ticket: Ticket, task: _Task) -> Outcome:
    match task.status:
        case "Ready":
            if task.result is None:
                raise Malformed("ready without a picture")
            seeds = () if task.result.seed is None else (task.result.seed,)
            cost = None if ticket.get("cost_usd") is None else str(ticket["cost_usd"])
            return Done(links=(task.result.sample,), seeds=seeds, cost_usd=cost)
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
