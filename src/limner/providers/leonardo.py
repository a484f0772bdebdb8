"""Leonardo: orders at v1 (models with a UUID) or v2 (models with a slug), polled at v1; no cancel, a list."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import AliasChoices, AliasPath, BaseModel, Field, JsonValue

from limner.core.errors import Lost, ProviderError, Refused, Rejected, Unauthorized
from limner.providers.answers import SHOWN
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket, the_one
from limner.providers.leonardo_calls import proven, ticket_of
from limner.providers.leonardo_uploads import uploaded
from limner.providers.orders import Fields, given
from limner.wire import by_status

_PAGE = 20
_LISTED = 100
_NEVER = datetime.fromtimestamp(0, UTC)
_CLOCKS_APART_S = 30.0
"""Orders that are alike to the seed are attempts of one job: hardly another's is taken for it."""
_MODERATION = re.compile(rb"content moderation|inappropriate|terms of service", re.IGNORECASE)
_BAD_KEY = re.compile(rb"authorization hook|authentication hook|access-denied", re.IGNORECASE)
_NO_CREDIT = re.compile(rb"\bcredits?\b|\bbalance\b|not enough \w* ?tokens", re.IGNORECASE)


class _Dialect(BaseModel, frozen=True, extra="forbid"):
    api: Literal["v1", "v2"]
    style: Literal["styleUUID", "presetStyle", "style_ids"] | None = None
    styles: dict[str, str] = {}
    """The vendor's word or id for each style, with `none`, since leaving it out is a style as well."""


def _job(*path: str) -> AliasChoices:
    """A field of a new job: v1 and v2 wrap it in different words, and v2 leaves its own out at times."""
    first, *rest = path
    wrapped = (AliasPath(word, *path) for word in ("sdGenerationJob", "generate"))
    return AliasChoices(*wrapped, AliasPath(first, *rest))


class _Created(BaseModel):
    id: str = Field(validation_alias=_job("generationId"))
    cost: JsonValue = Field(None, validation_alias=_job("cost", "amount"))
    """Of any type: an odd price must not cost us the id of what was bought."""
    unit: JsonValue = Field(None, validation_alias=_job("cost", "unit"))


class _Image(BaseModel):
    url: str


class _Entry(BaseModel):
    """Of the list: without what may be odd about other orders than ours."""

    id: str
    created_at: datetime = Field(_NEVER, alias="createdAt")
    prompt: str = ""
    width: int | None = Field(None, alias="imageWidth")
    height: int | None = Field(None, alias="imageHeight")
    seed: int | None = None

    @property
    def made_at(self) -> float:
        """Unix seconds; the vendor writes UTC without saying so."""
        return self.created_at.replace(tzinfo=UTC).timestamp()

    def answers(self, call: Call) -> bool:
        """Whether this is what became of `call`: Limner gives each order a seed of its own."""
        wish = call.request
        same = (self.prompt.strip(), self.width, self.height) == (wish.prompt.strip(), *(wish.size or ()))
        return same and wish.seed in (None, self.seed)


class _Generation(_Entry):
    status: Literal["PENDING", "COMPLETE", "FAILED"]
    images: tuple[_Image, ...] = Field((), alias="generated_images")


class _Found(BaseModel):
    generation: _Generation | None = Field(alias="generations_by_pk")


class _Listed(BaseModel):
    generations: tuple[_Entry, ...]


class _Me(BaseModel):
    id: str = Field(validation_alias=AliasPath("user_details", 0, "user", "id"))


class Leonardo(Provider):
    """Leonardo's production API. A lost order is looked up among the user's latest generations."""

    name = "leonardo"
    base_url = "https://cloud.leonardo.ai/api/rest/"
    recovery = Recovery.TICKETED
    concurrency = 10  # jobs that run at once on its usual plan
    key_env = ("LEONARDO_API_KEY",)
    probe_path = "v1/me"
    standing_calls = True

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By text: the vendor's codes do not tell a bad key, moderation and a bad field apart."""
        listed = body.startswith(b"[")  # v2 may answer a bad field with 200 and a list of errors
        if status < 400 and not listed:
            return None
        said = f"{status}: {body[:SHOWN].decode('utf-8', 'replace')}"
        if _MODERATION.search(body):
            return Refused(said)
        if _BAD_KEY.search(body) or (status == 400 and _NO_CREDIT.search(body)):
            # A key that is no UUID is answered with 500: a fault of the setting, not of the vendor.
            return Unauthorized(said)
        return Rejected(said) if listed else by_status(status, headers, body)

    async def submit(self, call: Call) -> Outcome:
        """Upload the inputs, then order; everything that costs is said, as the vendor's defaults are dear."""
        dialect = _Dialect.model_validate(call.dialect)
        ids = [await uploaded(self.wire, picture) for picture in call.inputs]
        order = _body(call, dialect, ids)
        job = await self.wire.post(f"{dialect.api}/generations", into=_Created, json=order)
        return Pending({"id": job.id, "cost_usd": str(job.cost) if job.unit == "DOLLARS" else None})

    async def poll(self, ticket: Ticket) -> Outcome:
        """Ask at v1, where both kinds are; there is no progress and no reason of a failure."""
        found = (await self.wire.get(f"v1/generations/{ticket['id']}", into=_Found)).generation
        if found is None:
            raise Lost(f"Leonardo does not know the generation {ticket['id']}")
        match found.status:
            case "PENDING":
                return Pending(ticket)
            case "FAILED":
                raise Rejected("the generation failed; Leonardo gives no reason")
            case "COMPLETE":
                return _done(found, ticket)

    async def find(self, call: Call) -> Ticket | None:
        """The one generation since the order was placed that has its prompt, size and seed."""
        user = await self.wire.get("v1/me", into=_Me)
        alike: list[_Entry] = []
        whole = False
        for offset in range(0, _LISTED, _PAGE):
            path = f"v1/generations/user/{user.id}?offset={offset}&limit={_PAGE}"
            listed = (await self.wire.get(path, into=_Listed)).generations
            alike += [one for one in listed if one.id not in call.others and one.answers(call)]
            whole = len(listed) < _PAGE or listed[-1].made_at < call.at - _CLOCKS_APART_S
            if whole:
                break
        fresh = [one.id for one in alike if one.made_at >= call.at - _CLOCKS_APART_S]
        ours = the_one(fresh, whole=whole, older=len(alike) > len(fresh))
        return None if ours is None else {"id": ours, "cost_usd": None}

    @staticmethod
    def told(model: str, body: bytes) -> Ticket | None:
        """A call names the generation."""
        return ticket_of(body)

    async def verify(self, headers: Mapping[str, str], body: bytes, secret: str | None, now: float) -> bool:
        """With the secret that its dashboard was given? It signs nothing."""
        return proven(headers, secret)


def _done(found: _Generation, ticket: Ticket) -> Done:
    if not found.images:
        raise Refused("finished without a picture, as when moderation took them all", billed="maybe")
    seeds = () if found.seed is None or len(found.images) > 1 else (found.seed,)
    cost = ticket["cost_usd"] if isinstance(ticket["cost_usd"], str) else None
    return Done(links=tuple(image.url for image in found.images), seeds=seeds, cost_usd=cost)


def _body(call: Call, dialect: _Dialect, uploaded: list[str]) -> Fields:
    wish, options = call.request, dict(call.request.options)
    fields: Fields = {"prompt": wish.prompt, "width": wish.width, "height": wish.height}
    fields |= {"negative_prompt": wish.negative_prompt or None, "seed": wish.seed}
    if dialect.style is not None:
        style = dialect.styles[(wish.style or "none").casefold()]
        fields[dialect.style] = [style] if dialect.style == "style_ids" else style
    match dialect.api:
        case "v1":
            fields |= {"modelId": call.model, "num_images": wish.count, "guidance_scale": wish.guidance_scale}
            fields |= {"num_inference_steps": wish.steps, "alchemy": False, "public": False}
            if uploaded:
                # Theirs says how much of the input is kept, ours how much is not; they take 0.1 to 0.9.
                kept = 1 - (0.5 if wish.strength is None else wish.strength)
                fields |= {"init_image_id": uploaded[0], "init_strength": round(min(0.9, max(0.1, kept)), 3)}
            return given(fields | options)
        case "v2":
            strength = options.pop("reference_strength", "MID")
            images = [{"id": one, "type": "UPLOADED"} for one in uploaded]
            shown: list[JsonValue] = [{"image": {**one}, "strength": strength} for one in images]
            fields |= {"quantity": wish.count, "guidances": {"image_reference": shown} if shown else None}
            return {"model": call.model, "public": False, "parameters": given(fields | options)}
