"""What can go wrong on purpose, and who says when: a script, a marker in the prompt, a schedule."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Annotated, Literal, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from limner.core.errors import InvalidRequest

CoreKind = Literal[
    "slow",
    "hang",
    "cut_before",
    "cut_after",
    "error_before",
    "error_after",
    "html_502",
    "rate_limited",
    "no_money",
    "bad_key",
    "overloaded",
    "malformed",
    "empty",
    "slow_body",
    "wrong_type",
]
"""Played around the vendor's handler, the same for all."""

VendorKind = Literal[
    "refused",
    "unknown_word",
    "empty_success",
    "expired_url",
    "wrong_size",
    "never_ends",
    "job_fails",
    "lost",
    "foreign_url",
    "fewer_images",
    "not_an_image",
    "huge",
]
"""Played by the vendor, each in its own shapes."""

Kind = Literal[CoreKind, VendorKind]

KINDS: dict[Kind, str] = {
    "slow": "waits after_s, then answers as usual",
    "hang": "reads the order and never answers; nothing is billed",
    "cut_before": "closes the connection before the order is taken; nothing is billed",
    "cut_after": "takes the order, does and bills it, then closes the connection without an answer",
    "error_before": "the vendor's server error; nothing is billed",
    "error_after": "takes the order, does and bills it, then answers with the vendor's server error",
    "html_502": "a proxy's HTML page with status 502; nothing is billed",
    "rate_limited": "the vendor's answer to too many requests; after_s is when to come again",
    "no_money": "the vendor's answer to an account without credit",
    "bad_key": "the vendor's answer to a key it does not know",
    "overloaded": "the vendor's answer when it is too busy",
    "malformed": "does and bills the order, and answers with the first half of the body",
    "empty": "does and bills the order, and answers 200 with nothing",
    "slow_body": "does and bills the order, and lets the body drip for after_s",
    "wrong_type": "does and bills the order, and calls the body text/plain",
    "refused": "moderation declines the prompt",
    "unknown_word": "the answer has a status word nobody has heard of",
    "empty_success": "the order succeeds with no picture in it",
    "expired_url": "the picture's address is dead when it is told",
    "wrong_size": "the picture has another size than the one asked for",
    "never_ends": "the order is accepted and never finishes",
    "job_fails": "the order is accepted and then fails",
    "lost": "the order is accepted and then forgotten",
    "foreign_url": "the picture's address is on another host, which nobody should ask",
    "fewer_images": "one picture less than asked for, or none where one was asked",
    "not_an_image": "where the picture should be is some text",
    "huge": "the picture is far larger than anybody should read",
}
"""Every kind with what it does, for people."""

_DEFAULT_AFTER_S = 0.5
_MARKER = re.compile(r"\[\[emu:(?:([\w.-]+):)?(\w+)(?:=(\d{1,6}(?:\.\d{1,6})?))?\]\]")
_NAME = re.compile(r"\[\[order:([\w.-]{1,64})\]\]")


class Match(BaseModel):
    """Texts that must occur in a request for a fault to fit: in its path, its prompt, its model's name."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: str | None = None
    prompt: Annotated[str | None, Field(validation_alias=AliasChoices("prompt", "prompt_contains"))] = None
    model: str | None = None


class Fault(BaseModel):
    """One kind of trouble. `after_s` is real seconds; `times` 0 is for ever; no `vendor` is any vendor."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    kind: Kind = Field(alias="fault")
    vendor: str | None = None
    after_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = _DEFAULT_AFTER_S
    times: Annotated[int, Field(ge=0)] = 1
    match: Match = Match()


@dataclass(frozen=True, slots=True)
class Sight:
    """What faults are matched against: a request's path, and all the text in its query and body."""

    vendor: str
    path: str
    text: str
    order: bool


class Script:
    """Faults waiting for their request; the first that fits is played, `times` times."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Queue it behind the others."""
        self._waiting.append(fault)

    def left(self) -> tuple[Fault, ...]:
        """What has not been played out, each with the times that remain."""
        return tuple(self._waiting)

    def clear(self) -> None:
        """Play none of them."""
        self._waiting.clear()

    def take(self, sight: Sight) -> Fault | None:
        """The fault for this request, if any; counts it as played."""
        for place, fault in enumerate(self._waiting):
            if fits(fault, sight):
                if fault.times == 1:
                    del self._waiting[place]
                elif fault.times > 1:
                    self._waiting[place] = fault.model_copy(update={"times": fault.times - 1})
                return fault
        return None


def fits(fault: Fault, sight: Sight) -> bool:
    """Whether a fault is meant for a request. What is no order is only met by a fault that names its path."""
    wanted = fault.match
    return (
        fault.vendor in (None, sight.vendor)
        and (sight.order or wanted.path is not None)
        and (wanted.path is None or wanted.path in sight.path)
        and (wanted.prompt is None or wanted.prompt in sight.text)
        and (wanted.model is None or wanted.model in sight.path or wanted.model in sight.text)
    )


def marked(sight: Sight) -> Fault | None:
    """The fault that `[[emu:KIND]]`, `[[emu:VENDOR:KIND]]` or `[[emu:KIND=SECONDS]]` in an order asks for.

    Raises `InvalidRequest` for a kind that does not exist.
    """
    for vendor, word, after_s in _MARKER.findall(sight.text) if sight.order else ():
        if vendor in ("", sight.vendor):
            seconds = float(after_s) if after_s else _DEFAULT_AFTER_S
            return Fault(kind=as_kind(word), after_s=min(seconds, 3600.0), times=0)
    return None


def unmarked(prompt: str) -> str:
    """The prompt without its markers."""
    return _MARKER.sub("", prompt).strip()


def named(prompt: str) -> str:
    """What an order calls itself with `[[order:NAME]]`, so that its charge can be told from others; empty
    when it says nothing."""
    found = _NAME.search(prompt)
    return found[1] if found else ""


def as_kind(word: str) -> Kind:
    """The kind of that name. Raises `InvalidRequest` that lists them all."""
    for kind in KINDS:
        if kind == word:
            return kind
    raise InvalidRequest(f"there is no fault {word!r}; there are: {', '.join(KINDS)}", "fault")


@dataclass(frozen=True, slots=True)
class Chance:
    """How likely an order at a vendor (`*` is any) meets a fault, 0 to 1."""

    vendor: str
    kind: Kind
    probability: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Faults by chance, for long runs; the same seed and the same orders meet the same faults."""

    chances: tuple[Chance, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """From `openai:error_after=0.05,*:slow=0.1`; empty is no faults. Raises `InvalidRequest`."""
        return cls(tuple(_chances(text)))

    def draw(self, vendor: str, random: Random) -> Fault | None:
        """The fault this order meets. Draws once for each chance at the vendor, hit or not."""
        mine = [chance for chance in self.chances if chance.vendor in ("*", vendor)]
        hits = [chance for chance in mine if random.random() < chance.probability]
        return Fault(kind=hits[0].kind, times=0) if hits else None


def _chances(text: str) -> Iterator[Chance]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"([\w.*-]+):(\w+)=(0|1|0?\.\d+|[01]\.0+)", part)
        if found is None:
            raise InvalidRequest(
                f"{part!r} is no fault by chance; write VENDOR:KIND=CHANCE, as in openai:error_after=0.05",
                "faults",
            )
        yield Chance(found[1], as_kind(found[2]), float(found[3]))


assert set(KINDS) == {*get_args(CoreKind), *get_args(VendorKind)}  # noqa: S101 - checked when first imported
