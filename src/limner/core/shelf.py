"""What is kept about prompts: templates and their tests, what each user kept, and how rewriting went."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from limner.core.prompting import Slug, TemplateRef
from limner.core.text import clean_text

Verdict = Literal["kept", "deleted"]
RewriteOutcome = Literal["done", "failed", "away"]
"""`failed`: there was an answer, and it could not be used. `away`: there was none."""

MAX_TEMPLATE = 8_000
MAX_ARMS = 8


class NewTemplate(BaseModel):
    """A template to be kept. Its text holds `{prompt}`, and perhaps other `{names}`; `{{` is a brace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEMPLATE), AfterValidator(clean_text)]
    negative_prompt: Annotated[str, Field(max_length=2_000), AfterValidator(clean_text)] | None = None
    """For requests that have none of their own."""
    description: Annotated[str, Field(max_length=500), AfterValidator(clean_text)] = ""


class Template(NewTemplate):
    """One version of a template: never changed, a newer one is put beside it."""

    version: int
    variables: tuple[str, ...] = ()
    """The names in the text besides `prompt`."""
    by: str = ""
    created_at: float = 0.0
    """Unix seconds."""

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


class NewExperiment(BaseModel):
    """A test of templates against each other. `arms` are templates, each with its version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    arms: Annotated[tuple[TemplateRef, ...], Field(min_length=2, max_length=MAX_ARMS)]


class Experiment(NewExperiment):
    """A test as it is kept. An ended one gives every job its first template."""

    by: str = ""
    created_at: float = 0.0
    """Unix seconds."""
    ended_at: float | None = None


class Tally(BaseModel):
    """How often something was kept and deleted. `low` and `high` bound the share that is kept, at 95 %."""

    model_config = ConfigDict(frozen=True)

    kept: int
    deleted: int
    low: float = 0.0
    high: float = 1.0


class Arm(Tally):
    """One template of a test, and how it did."""

    template: str
    jobs: int
    """Jobs that drew it."""


class ExperimentResult(Experiment):
    """A test with what came of it so far."""

    results: tuple[Arm, ...]
    leader: str | None = None
    """The template that is kept more often for certain: its bounds lie above all others'."""


class PictureVerdict(BaseModel):
    """What a user thinks of a picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    verdict: Verdict


class Liking(Tally):
    """How often pictures of one style, size or provider were kept."""

    name: str


class Suggestions(BaseModel):
    """What the user most likely wants; None while there is too little to go by."""

    model_config = ConfigDict(frozen=True)

    style_preset: str | None = None
    size: str | None = None
    provider: str | None = None


class Preferences(BaseModel):
    """All that is known of what one user keeps."""

    model_config = ConfigDict(frozen=True)

    user: str
    judged: int
    """Pictures."""
    styles: tuple[Liking, ...] = ()
    sizes: tuple[Liking, ...] = ()
    providers: tuple[Liking, ...] = ()
    suggestions: Suggestions = Suggestions()


class RewriteCount(BaseModel):
    """How rewriting by one model went. Lengths are characters, summed up; times are seconds."""

    model_config = ConfigDict(frozen=True)

    step: str
    model: str
    outcome: RewriteOutcome
    count: int
    characters_before: int
    characters_after: int
    seconds: float
    retries: int
