"""What the OpenAI stand-in's moderation finds: by words, so that a test can choose."""

import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from limner.simulator.openai_orders import Fault

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
SEEN_IN_PICTURES = frozenset(
    {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}
)
"""The others are judged by text alone; for a picture their score is 0, which does not mean safe."""

_WORDS = {
    "harass": "harassment",
    "hateful": "hate",
    "shoplift": "illicit",
    "bomb": "illicit/violent",
    "suicide": "self-harm",
    "nude": "sexual",
    "porn": "sexual",
    "stabbing": "violence",
    "gore": "violence/graphic",
}
_UNDRAWN = frozenset({"sexual", "self-harm", "violence/graphic"})
"""For these the image models refuse."""


def found(text: str) -> frozenset[str]:
    """The categories a text falls into."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return frozenset(category for word, category in _WORDS.items() if word in words)


def undrawn(prompt: str) -> list[str]:
    """Why a picture of it is refused; empty when it is drawn."""
    return sorted(found(prompt) & _UNDRAWN)


def results(fields: Mapping[str, JsonValue]) -> list[JsonValue]:
    """One result for a text or for parts that belong together, one each for several texts. Raises `Fault`."""
    for name in fields:
        if name not in ("model", "input"):
            raise Fault(f"Unknown parameter: '{name}'.", name, "unknown_parameter", user=False)
    model = str(fields.get("model") or "omni-moderation-latest")
    if not model.startswith(("omni-moderation-", "text-moderation-")):
        raise Fault(f"Invalid value for 'model' = {model}.", "model", None, user=False)
    said = fields.get("input")
    match said:
        case str():
            return [_result([said], pictures=False)]
        case list() if said and all(isinstance(one, str) for one in said):
            return [_result([str(one)], pictures=False) for one in said]
        case list() if said and all(isinstance(one, dict) for one in said):
            parts = [one for one in said if isinstance(one, dict)]
            texts = [str(part.get("text")) for part in parts if part.get("type") == "text"]
            pictures = any(part.get("type") == "image_url" for part in parts)
            return [_result(texts, pictures=pictures)]
        case _:
            raise Fault("Invalid 'input': expected a text or a list.", "input", "invalid_type", user=False)


def _result(texts: Iterable[str], *, pictures: bool) -> dict[str, JsonValue]:
    """One result for all the parts of one input."""
    said = list(texts)
    flags = found("\n".join(said))
    return {
        "flagged": bool(flags),
        "categories": {name: name in flags for name in CATEGORIES},
        "category_scores": {name: _score(name, flags, pictures=pictures) for name in CATEGORIES},
        "category_applied_input_types": {
            name: [*(["text"] if said else []), *(["image"] if pictures and name in SEEN_IN_PICTURES else [])]
            for name in CATEGORIES
        },
    }


def _score(name: str, flags: Iterable[str], *, pictures: bool) -> float:
    if name in flags:
        return 0.93
    return 0.0 if pictures and name not in SEEN_IN_PICTURES else 0.0002
