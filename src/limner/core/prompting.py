"""How a caller wants a prompt rewritten, and what was done to one: part of the request."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from limner.core.text import Name, clean_text

MAX_TURNS = 20
MAX_TURN = 4_000
MAX_VARIABLES = 32
MAX_VARIABLE = 2_000

Step = Literal["template", "context", "optimize", "enhance", "style", "negative"]
"""A template filled, a conversation summed up, made shorter, made better, put into a style, and the usual
negative prompt."""

Turn = Annotated[str, Field(max_length=MAX_TURN), AfterValidator(clean_text)]
VariableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Variable = Annotated[str, Field(max_length=MAX_VARIABLE), AfterValidator(clean_text)]
SlugPattern = r"[a-z0-9][a-z0-9-]{0,62}"
Slug = Annotated[str, Field(pattern=rf"^{SlugPattern}$")]
TemplateRef = Annotated[str, Field(pattern=rf"^{SlugPattern}(@[1-9][0-9]{{0,5}})?$")]
"""A template's name, and perhaps `@` and its version; the newest without."""


class Rewrite(BaseModel):
    """One thing that was done to a prompt, or could not be done. Lengths are characters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Step
    by: Annotated[str, Field(max_length=200), AfterValidator(clean_text)]
    """The language model, or `limner` where its own rules did it."""
    before: Annotated[int, Field(ge=0)]
    after: Annotated[int, Field(ge=0)]
    said: Annotated[str, Field(max_length=1_000), AfterValidator(clean_text)]
    """What changed, for people."""


class Rewritten(BaseModel):
    """What became of a prompt on its way into a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[str, Field(max_length=10_000), AfterValidator(clean_text)]
    """As the caller wrote it."""
    negative_prompt: Annotated[str, Field(max_length=10_000), AfterValidator(clean_text)] | None = None
    """The same."""
    steps: Annotated[tuple[Rewrite, ...], Field(max_length=16)] = ()
    style_preset: Slug | None = None
    template: TemplateRef | None = None
    experiment: Slug | None = None


class Prompting(BaseModel):
    """How the prompt is to be rewritten before it is sent. Nothing is done that is not asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimize: bool | None = None
    """Prompts above 3,000 characters are made shorter by the language model."""
    enhance: bool | None = None
    """Words for detail and focus are added where there are none."""
    by_model: bool | None = None
    """With `enhance`: short prompts are enhanced by the language model instead."""
    style_preset: Name | None = None
    """The name of one of Limner's styles, at `GET /v1/styles`; `style` is the model's own."""
    template: TemplateRef | None = None
    variables: Annotated[dict[VariableName, Variable], Field(max_length=MAX_VARIABLES)] = {}
    """What the template's `{names}` stand for; `{prompt}` is the prompt itself."""
    experiment: Slug | None = None
    """A test of templates: one of them is drawn for the job."""
    context: Annotated[tuple[Turn, ...], Field(max_length=MAX_TURNS)] = ()
    """What was said before, oldest first: the language model makes one whole prompt of it. Not kept."""
    negative_default: bool | None = None
    """Without a negative prompt the usual one is used: blurry, low quality, distorted."""
    done: Rewritten | None = None
    """What was done; a request that has it, as of a picture's recipe, is sent as it is."""
