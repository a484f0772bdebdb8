"""A language model that always says the same to the same words. It shortens, improves and sums up prompts
when it is told to as Limner tells it, and asks for pictures when it may. It costs nothing.

Of the faults it plays `refused` (declines), `empty_success` (no words), `huge` (ignores the limit it was
given) and `not_an_image` (says what nobody asked).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from pydantic import JsonValue

from limner.simulator.faults import unmarked
from limner.simulator.vendor import Order

REFUSAL = "I'm sorry, but I can't help with that."
TOOL = "generate_image"
_GARBAGE = "zqx vvk lorem 0x7f zqx"
_TAILS = (
    "soft morning light, fine texture, balanced composition",
    "warm evening light, rich colour, calm background",
    "clear northern light, crisp edges, generous negative space",
)
_SHORTEN, _IMPROVE, _SUM_UP = "You shorten prompts", "You improve short prompts", "You turn a conversation"
_LIMIT = re.compile(r"fewer than (\d+) characters; aim for (-?\d+)")
_TERMS = re.compile(r"^Keep each of these terms word for word: (.*)$", re.MULTILINE)
_FILLER = re.compile(
    r"\b(?:very|really|quite|rather|please|just|simply|basically|actually|of course|as well|somewhat"
    r"|i (?:would|want|wish)(?: like)?(?: you)? to|it should be noted that|in a way that)\b ?",
    re.IGNORECASE,
)
_DRAWS = re.compile(
    r"\b(?:draw|paint|sketch|illustrate|render|generate|create|design|visuali[sz]e)\b", re.IGNORECASE
)
_PICTURE = re.compile(
    r"\b(?:make|show|give|want|need)\b.*\b(?:image|picture|photo|painting|drawing|illustration|portrait|logo)",
    re.IGNORECASE | re.DOTALL,
)
_ASKING = re.compile(
    r"^\s*(?:(?:please|now|then|can you|could you|would you|i want you to)\b[\s,]*)*"
    r"(?:draw|paint|sketch|illustrate|render|generate|create|design|visuali[sz]e|make|show|give)\b"
    r"(?:\s+(?:me|us))?(?:\s+(?:an?|the|some)\s+(?:image|picture|photo|painting|drawing|illustration)s?\b"
    r"(?:\s+(?:of|with|showing))?)?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Heard:
    """One message that was sent."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that it wants to be run."""

    id: str
    name: str
    arguments: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Its answer: words, calls, or both."""

    content: str
    calls: tuple[Call, ...] = ()

    @property
    def ending(self) -> str:
        """OpenAI's word for why it stops."""
        return "tool_calls" if self.calls else "stop"

    def pieces(self) -> list[str]:
        """The words, a few at a time, as a stream has them."""
        return re.findall(r"(?:\S+\s*){1,6}", self.content)


def speak(heard: Sequence[Heard], tools: Mapping[str, frozenset[str]], order: Order) -> Spoken | None:
    """What it says; None when nobody told it what to do, so that the vendor's own manner decides. `tools` are
    the names of those offered, each with its parameters'."""
    told = next((one.content for one in heard if one.role == "system"), "")
    known = told.startswith((_SHORTEN, _IMPROVE, _SUM_UP))
    if not known and not tools:
        return None
    words = _spoilt(order, heard)
    if words is not None:
        return Spoken(words)
    said = [unmarked(one.content) for one in heard if one.role == "user"]
    if known:
        return Spoken(_rewritten(told, said))
    return _chat(heard, said[-1] if said else "", tools.get(TOOL))


def plain(said: str) -> Spoken:
    """Its answer to somebody who only talks."""
    words = " ".join(unmarked(said).split())
    return Spoken(f"You said: {words[:200]}" if words else "Hello! What shall the picture show?")


def _spoilt(order: Order, heard: Sequence[Heard]) -> str | None:
    """What a fault lets it say."""
    if order.has("refused"):
        return REFUSAL
    if order.has("empty_success"):
        return ""
    if order.has("not_an_image"):
        return _GARBAGE
    if order.has("huge"):
        return " ".join(one.content for one in heard if one.role == "user") * 2
    return None


def _rewritten(told: str, said: list[str]) -> str:
    first = said[0] if said else ""
    if told.startswith(_SHORTEN):
        found = _LIMIT.search(told)
        limit, target = (int(found[1]), int(found[2])) if found else (3000, 2800)
        return _shortened(first, _terms(told), limit, target)
    if told.startswith(_IMPROVE):
        return f"{first.strip().rstrip('.')}, {_TAILS[len(first) % len(_TAILS)]}"
    earlier, _, now = first.partition("\nNow: ")
    turns = [line.removeprefix("- ") for line in earlier.splitlines() if line.startswith("- ")]
    return ", ".join(part.strip().rstrip(".") for part in (*turns[:1], now) if part.strip())


def _terms(told: str) -> tuple[str, ...]:
    found = _TERMS.search(told)
    return () if found is None or found[1] == "(none)" else tuple(found[1].split("; "))


def _shortened(prompt: str, terms: tuple[str, ...], limit: int, target: int) -> str:
    """Clauses without filler, each once, the telling ones first in line for the room; what is still missing
    at the end."""
    clauses = list(dict.fromkeys(_clauses(prompt)))
    needed = _needed(clauses, terms)
    room = max(0, target - sum(len(clauses[n]) + 2 for n in needed))
    for n, clause in enumerate(clauses):
        if n not in needed and len(clause) + 2 <= room:
            needed.add(n)
            room -= len(clause) + 2
    text = ", ".join(clauses[n] for n in sorted(needed))
    tail = "".join(f", {term}" for term in terms if term not in _plain(text))
    return (text[: max(0, limit - 1 - len(tail))] + tail).removeprefix(", ")


def _clauses(prompt: str) -> Iterable[str]:
    for part in re.split(r"[,;!?\n]|\.(?!\d)", prompt):
        clause = " ".join(_FILLER.sub("", part).split())
        if clause:
            yield clause


def _needed(clauses: list[str], terms: tuple[str, ...]) -> set[int]:
    """The first clause that has each term."""
    plain_ = [_plain(clause) for clause in clauses]
    found = (next((n for n, clause in enumerate(plain_) if term in clause), None) for term in terms)
    return {n for n in found if n is not None}


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _chat(heard: Sequence[Heard], said: str, parameters: frozenset[str] | None) -> Spoken:
    if heard and heard[-1].role == "tool":
        return Spoken("The picture is prepared; press the button to have it drawn.")
    if parameters is None or not (_DRAWS.search(said) or _PICTURE.search(said)):
        return plain(said)
    arguments = {name: value for name, value in _wished(said).items() if name in parameters or not parameters}
    digest = sha256(said.encode()).hexdigest()[:12]
    return Spoken("", (Call(f"call_{digest}", TOOL, arguments),))


def _wished(said: str) -> dict[str, JsonValue]:
    """The tool's arguments, those that were said."""
    wish: dict[str, JsonValue] = {"prompt": _ASKING.sub("", said).strip() or said}
    for name, pattern in (
        ("size", r"\b(\d{3,4}x\d{3,4})\b"),
        ("quality", r"\b(ultra|high|standard|fast) quality\b"),
        ("style", r"\b(natural|vivid) style\b"),
    ):
        found = re.search(pattern, said, re.IGNORECASE)
        if found:
            wish[name] = found[1].lower()
    return wish
