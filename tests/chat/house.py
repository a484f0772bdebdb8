"""A Limner over vendors that are scripted in this process: what each draws, what for, and how it fails."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

from pydantic import SecretStr

from limner.app import Limner
from limner.catalog.model import Model, Price, PriceRow, Sizes
from limner.config import Settings
from limner.core.errors import ProviderError
from limner.prompts.said import Delta, Piece, Said, ToolCall
from limner.providers.base import Call, Done, Outcome, Provider, Recovery
from tests.api.fakes import png


class Scripted(Provider):
    """Draws at once, or raises what `fails` holds for it."""

    base_url = "http://127.0.0.1:9/"
    recovery = Recovery.BLIND
    orders: ClassVar[list[tuple[str, Call]]] = []
    fails: ClassVar[dict[str, ProviderError]] = {}
    first: ClassVar[dict[str, list[ProviderError]]] = {}
    """What fails before anything is drawn."""
    costs: ClassVar[dict[str, str]] = {}

    async def submit(self, call: Call) -> Outcome:
        Scripted.orders.append((self.name, call))
        if self.name in Scripted.fails:
            raise Scripted.fails[self.name]
        if Scripted.first.get(self.name):
            raise Scripted.first[self.name].pop(0)
        width, height = call.request.size or (64, 64)
        return Done((png(width, height, 7),), cost_usd=Scripted.costs.get(self.name))


def vendor(title: str, *, needs: bool = True) -> type[Provider]:
    env = (f"{title.upper()}_API_KEY",)
    return type(
        title.title(), (Scripted,), {"name": title, "key_env": env, "url_env": (), "needs_key": needs}
    )


def model(provider: str, name: str, tier: str, usd: str | None, priority: int, **more) -> Model:
    price = None if usd is None else Price(usd=usd, unit="image", source="the tests", read_on="2026-11-20")
    sizes = Sizes(default=(1024, 1024), max_side=1792, listed=((1024, 1024), (1792, 1024)), nearest=True)
    given = {"name": name, "description": name, "ref": f"maker/{name}", "sizes": sizes, "price": price} | more
    return Model(id=name, provider=provider, tier=tier, fallback_priority=priority, **given)


def by_size(usd: str, wide: str) -> Price:
    row = PriceRow(usd=wide, size=(1792, 1024))
    return Price(usd=usd, unit="image", rows=(row,), source="the tests", read_on="2026-11-20")


MODELS = (
    model("openai", "grand", "ultra", "0.12", 1),
    model("openai", "fine", "high", None, 1, price=by_size("0.04", "0.08")),
    model("openai", "plain", "standard", "0.006", 1),
    model("openai", "secret", "standard", None, 9),
    model("together", "bright", "high", "0.03", 4),
    model("together", "dear", "high", "0.09", 2),
    model("together", "modest", "standard", "0.002", 5),
    model("gemini", "clear", "high", "0.04", 3),
    model("replicate", "keen", "high", "0.01", 5),
    model("replicate", "swift", "fast", "0.001", 3),
    model(
        "openai",
        "dall-e-3",
        "high",
        "0.04",
        1,
        ref="dall-e-3",
        retired="2026-05-12",
        successor="fine",
        styles=("vivid", "natural"),
    ),
    model(
        "openai",
        "dall-e-3-hd",
        "ultra",
        "0.08",
        1,
        ref="dall-e-3-hd",
        retired="2026-05-12",
        successor="grand",
    ),
)
NAMES = ("openai", "together", "gemini", "replicate")
KEY = "a-key-of-sixteen-characters"


@asynccontextmanager
async def open_house(
    home, *, keyed: Sequence[str] = NAMES, models=MODELS, names=NAMES, kind=Limner, **settings
) -> AsyncIterator[Limner]:
    Scripted.orders, Scripted.fails, Scripted.first, Scripted.costs = [], {}, {}, {}
    variables = {f"{name.upper()}_API_KEY": SecretStr("k") for name in keyed}
    made = Settings(home=home, variables=variables, **settings)
    async with kind(made, providers={name: vendor(name) for name in names}, models=models) as limner:
        yield limner


class Speaker:
    """A language model that says what it was given, one line after the other."""

    name = "parrot"
    provider = "ollama"
    address = "http://127.0.0.1:9"

    def __init__(self, *lines: Sequence[Piece] | ProviderError) -> None:
        self.lines = list(lines)
        self.heard: list[tuple[tuple[Said, ...], tuple[str, ...]]] = []
        self.asked: list[tuple[float, int | None]] = []

    @asynccontextmanager
    async def stream(self, messages, *, tools=(), temperature=0.7, max_tokens=None):
        self.heard.append((tuple(messages), tuple(tool.name for tool in tools)))
        self.asked.append((temperature, max_tokens))
        line = self.lines.pop(0)
        if isinstance(line, ProviderError):
            raise line

        async def pieces() -> AsyncIterator[Piece]:
            for piece in line:
                if isinstance(piece, ProviderError):
                    raise piece
                yield piece

        yield pieces()

    async def probe(self) -> str | None:
        return None


def says(text: str) -> tuple[Piece, ...]:
    return tuple(Delta(word) for word in text.split("|"))


def calls(name: str = "generate_image", identity: str = "call_1", **arguments) -> ToolCall:
    return ToolCall(id=identity, name=name, arguments=arguments)
