"""What each tool takes. The JSON Schemas that models read are made from these classes."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema

from limner.core.errors import InvalidRequest
from limner.core.request import (
    MAX_COUNT,
    MAX_INPUTS,
    MAX_PROMPT,
    MAX_SEED,
    MAX_SIDE,
    Format,
    GenerateRequest,
    Operation,
    Policy,
    Preset,
)
from limner.core.text import clean_text

Worked = Literal["edit", "inpaint", "image-to-image", "variation", "upscale"]
MAX_DATA = 8 << 20
"""Characters of a picture that is handed over as text."""
LONGEST_WAIT_S = 300
_Text = Annotated[str, AfterValidator(clean_text)]
_Name = Annotated[_Text, Field(min_length=1, max_length=200)]
_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_Picture = Annotated[str, Field(min_length=1, max_length=MAX_DATA)]
_Project = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
_Dollars = Annotated[
    Decimal,
    Field(ge=0, le=1_000_000, allow_inf_nan=False),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
_PICTURE = "a picture's id, its `limner://images/ID` address, its SHA-256, or the file itself as base64"


class _Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listing(_Arguments):
    """`list_models`."""

    words: Annotated[_Text, Field(max_length=200)] = Field(
        "", description="Only models whose id, name, provider or description holds all of these words."
    )
    operation: Operation | None = Field(None, description="Only models that can do this.")
    limit: Annotated[int, Field(ge=1, le=100)] = Field(30, description="How many models at most.")


class Wish(_Arguments):
    """What every order says."""

    prompt: Annotated[_Text, Field(max_length=MAX_PROMPT)] = Field(description="What the picture shows.")
    negative_prompt: Annotated[_Text, Field(max_length=MAX_PROMPT)] | None = Field(
        None, description="What must not be seen, for models that understand it."
    )
    model: _Name | None = Field(
        None, description="A model id from list_models. Unset: chosen, free and local models first."
    )
    provider: _Name | None = Field(None, description="Who is to draw it. Unset: chosen.")
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)] = Field(1, description="How many pictures.")
    width: Annotated[int, Field(ge=1, le=MAX_SIDE)] | None = Field(
        None, description="Pixels; goes with height."
    )
    height: Annotated[int, Field(ge=1, le=MAX_SIDE)] | None = Field(
        None, description="Pixels; goes with width."
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        None, description="The same seed draws the same picture, at models that take one."
    )
    style: _Name | None = Field(None, description="A style that the model knows.")
    quality: Preset | None = Field(None, description="How good; better is slower and may cost more.")
    format: Format = Field("png", description="The file's format.")
    project: _Project = Field("default", description="The project the pictures belong to.")
    options: Annotated[dict[_Name, JsonValue], Field(max_length=64)] = Field(
        {}, description="What only this model understands; list_models names them."
    )
    max_cost_usd: _Dollars | None = Field(
        None, description="US dollars: refuse whatever costs more, a fallback included."
    )
    strict: bool = Field(
        False, description="Refuse instead of bending a size, seed or style to what a model can do."
    )


class _Picturing(Wish):
    prompt: Annotated[_Text, Field(max_length=MAX_PROMPT)] = Field(
        "", description="What the picture shows, or how to change it; variation and upscale need none."
    )
    strength: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="image-to-image: 0 keeps the picture, 1 ignores it."
    )
    scale: Annotated[float, Field(gt=1, le=8, allow_inf_nan=False)] | None = Field(
        None, description="upscale: times the size."
    )
    mask: _Picture | None = Field(
        None, description=f"inpaint: a PNG, transparent where to paint anew; {_PICTURE}."
    )


class Ordering(_Arguments):
    """What every call that orders says besides."""

    confirm: bool = Field(
        False,
        description=(
            "Needed for whatever is not free, together with `quote`. Say true only when the person has "
            "agreed to the price."
        ),
    )
    quote: Annotated[_Text, Field(min_length=1, max_length=4096)] | None = Field(
        None, description="The quote's token, as answered by quote or by the first call."
    )
    idempotency_key: Annotated[str, Field(pattern=r"^[ -~]{1,255}$")] | None = Field(
        None,
        description=(
            "Any text of your choice, 1 to 255 printable ASCII characters. A repeated call with the same "
            "key and the same arguments gives the first job again and buys nothing."
        ),
    )
    wait_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False)] = Field(
        50.0,
        description=(
            "Seconds to wait for the pictures. When it takes longer the answer is `running`; the tool "
            "`job` waits on."
        ),
    )


class Quoting(_Picturing):
    """`quote`."""

    operation: Operation = Field("generate", description="What is to be done.")
    images: Annotated[tuple[_Picture, ...], Field(max_length=MAX_INPUTS)] = Field(
        (), description=f"Pictures to work on, the main one first; each {_PICTURE}."
    )


class Generating(Wish, Ordering):
    """`generate`."""


class Editing(_Picturing, Ordering):
    """`edit`."""

    operation: Worked = Field(
        "edit",
        description=(
            "edit follows words; inpaint fills where the mask says; image-to-image paints over by strength; "
            "variation and upscale need no words."
        ),
    )
    images: Annotated[tuple[_Picture, ...], Field(min_length=1, max_length=MAX_INPUTS)] = Field(
        description=f"Pictures to work on, the main one first; each {_PICTURE}."
    )


class Looking(_Arguments):
    """`job`."""

    job_id: _Id = Field(description="The job's id.")
    wait_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False)] = Field(
        0.0, description="Seconds to wait for its end; 0 answers at once."
    )


class Cancelling(_Arguments):
    """`cancel`."""

    job_id: _Id = Field(description="The job's id.")


class Searching(_Arguments):
    """`search`."""

    words: Annotated[_Text, Field(max_length=200)] = Field(
        "", description="Only pictures whose prompt holds all of these words, in any case and order."
    )
    project: _Project | None = Field(None, description="Only pictures of this project.")
    model: _Name | None = Field(None, description="Only pictures of this model, by its id.")
    limit: Annotated[int, Field(ge=1, le=50)] = Field(10, description="How many pictures at most.")
    before: _Id | None = Field(None, description="Go on from here: `next` of the last answer.")


def order(wish: Wish, operation: Operation, inputs: tuple[str, ...], mask: str | None) -> GenerateRequest:
    """The same wish as Limner's request. Raises `InvalidRequest`."""
    plain = wish.model_dump(
        include=set(_Picturing.model_fields) - {"max_cost_usd", "strict", "mask", "options"}
    )
    try:
        return GenerateRequest(
            **plain,
            operation=operation,
            inputs=inputs,
            mask=mask,
            options=wish.options,
            policy=Policy(max_cost_usd=wish.max_cost_usd, strict=wish.strict),
        )
    except ValidationError as error:
        raise wrong(error) from error


def wrong(error: ValidationError) -> InvalidRequest:
    """The first of the faults as one sentence."""
    faults = error.errors(include_url=False, include_input=False)
    first = faults[0]
    name = ".".join(str(part) for part in first["loc"])[:64]
    said = str(first.get("ctx", {}).get("error", first["msg"]))
    match first["type"]:
        case "missing":
            said = "is missing"
        case "extra_forbidden":
            said = "is not known here; leave it out"
        case _:
            said = said[:300]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return InvalidRequest(f"{name}: {said}{more}" if name else f"{said}{more}", name or None)
