"""What Ollama's text models say: always the same to the same words, and of the shape that was asked for."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from limner.simulator.faults import unmarked

_LONGEST = 2600
_TAIL = "soft window light, fine detail, balanced composition"
_LABEL = re.compile(r"^\s*(?:prompt|text|description|input)\s*:\s*", re.IGNORECASE | re.MULTILINE)
DECLINED = "[[decline]]"
"""Who has this in what they say is declined, in words, as these models do it."""
_REFUSAL = "I'm sorry, but I can't help with that."
_THOUGHTS = {"low": 8, "medium": 24, "high": 64, "max": 64}


@dataclass(frozen=True, slots=True)
class Speech:
    """One answer. Tokens are words here."""

    content: str
    thinking: str
    reason: str
    """`stop`, or `length` when `num_predict` was used up."""
    heard: int

    @property
    def tokens(self) -> int:
        """How many were spoken."""
        return len(self.content.split()) + len(self.thinking.split())

    def pieces(self) -> Iterable[tuple[str, str]]:
        """The thinking, then the content, a few words at a time, as a stream has them."""
        for kind, text in (("thinking", self.thinking), ("content", self.content)):
            for piece in re.findall(r"(?:\S+\s*){1,6}", text) or ([text] if text else []):
                yield kind, piece


def speak(said: str, *, shape: object = None, thinks: str | None = None, most: int | None = None) -> Speech:
    """The answer to the last thing said.

    `shape` is `json`, a JSON schema, or None; `thinks` how much is thought first, which counts against `most`
    as it does with the real models: the content may be empty.
    """
    thinking = " ".join(["consider"] * _THOUGHTS[thinks]) if thinks else ""
    content = _REFUSAL if DECLINED in said else _content(said, shape)
    left = None if most is None or most < 0 else max(0, most - len(thinking.split()))
    words = content.split()
    if left is None or len(words) <= left:
        return Speech(content, thinking, "stop", len(said.split()))
    return Speech(" ".join(words[:left]), thinking, "length", len(said.split()))


def _content(said: str, shape: object) -> str:
    text = _better(said)
    if isinstance(shape, Mapping):
        return json.dumps(_filled(shape, text, shape), ensure_ascii=False)
    return json.dumps({"prompt": text}, ensure_ascii=False) if shape == "json" else text


def _better(said: str) -> str:
    """The subject of a request in fewer words, with a little light: shorter than it was when it was long."""
    subject = " ".join(unmarked(_LABEL.split(said)[-1]).split()).strip("\"'` ")
    if len(subject) > _LONGEST:
        subject = subject[:_LONGEST].rsplit(" ", 1)[0]
    return f"{subject}, {_TAIL}" if subject else "Hello! How can I help you today?"


def _filled(schema: Mapping[str, Any], text: str, root: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """A value that the schema accepts."""
    if "$ref" in schema:
        found: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[part]
        return _filled(found, text, root)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _filled(next((one for one in schema[word] if one.get("type") != "null"), {}), text, root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object" | None if "properties" in schema:
            return {name: _filled(one, text, root) for name, one in schema["properties"].items()}
        case "array":
            return [_filled(schema.get("items", {}), text, root)] * max(1, int(schema.get("minItems", 1)))
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "object":
            return {}
        case _:
            return text[: int(schema.get("maxLength", len(text)))]
