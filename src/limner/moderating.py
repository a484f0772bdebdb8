"""What may be shown? OpenAI's moderation, asked through an account there; nobody else here judges."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from limner.accounts import Accounts
from limner.core.errors import NoRoute
from limner.providers.openai import OpenAI

MODEL = "omni-moderation-latest"
_NOBODY = "nothing here judges text or pictures; set OPENAI_API_KEY: OpenAI's moderation costs nothing"


class PictureAddress(BaseModel):
    """Where the picture is."""

    model_config = ConfigDict(frozen=True)

    url: str
    """http(s), or the picture itself as `data:`."""


class TextPart(BaseModel):
    """Words to be judged."""

    model_config = ConfigDict(frozen=True)

    type: Literal["text"]
    text: str


class PicturePart(BaseModel):
    """A picture to be judged."""

    model_config = ConfigDict(frozen=True)

    type: Literal["image_url"]
    image_url: PictureAddress


Part = Annotated[TextPart | PicturePart, Field(discriminator="type")]


class Judged(BaseModel):
    """What is to be judged: a text, several texts each by itself, or the parts of one thing together."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input: (
        str
        | Annotated[list[str], Field(min_length=1, max_length=1000)]
        | Annotated[list[Part], Field(min_length=1, max_length=64)]
    )
    model: Annotated[str, Field(min_length=1, max_length=200)] = MODEL


class Judgement(BaseModel):
    """About one input."""

    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None]
    category_applied_input_types: dict[str, list[str] | None] | None = None


class Moderation(BaseModel):
    """OpenAI's answer as it came: `model` is who judged."""

    id: str
    model: str
    results: list[Judgement]


async def moderate(accounts: Accounts, what: Judged) -> Moderation:
    """Ask the first of OpenAI's accounts that can be asked. Raises `NoRoute` and `ProviderError`."""
    obstacles: dict[str, str] = {}
    for one in accounts:
        if not isinstance(one.provider, OpenAI) or one.provider.name != OpenAI.name:
            continue
        obstacle = accounts.obstacle(one)
        if obstacle is None:
            return await one.provider.wire.ask(
                "moderations", into=Moderation, json=what.model_dump(mode="json")
            )
        obstacles[one.name] = obstacle
    raise NoRoute(_NOBODY, obstacles)
