"""The language model's answers in Ollama's own shape, whole and line by line."""

from collections.abc import Iterable, Iterator
from typing import Any

from limner.simulator.language import Heard, Spoken
from limner.simulator.ollama_shapes import Chat, Line

_COUNTS = {"total_duration": 4_883_583_458, "load_duration": 1_334_875, "eval_duration": 4_535_599_000}


def heard(asked: Chat) -> list[Heard]:
    """The messages."""
    return [Heard(one.role, one.text) for one in asked.messages]


def offered(tools: Iterable[dict[str, Any]]) -> dict[str, frozenset[str]]:
    """The names of the tools, each with its parameters'."""
    found: dict[str, frozenset[str]] = {}
    for tool in tools:
        function = tool.get("function", {})
        properties = function.get("parameters", {}).get("properties", {})
        found[str(function.get("name", ""))] = frozenset(properties)
    return found


def spoken_lines(head: Line, spoken: Spoken) -> Iterator[Line]:
    """The lines of the answer: words, then calls, then the end."""
    for piece in spoken.pieces():
        yield head | {"message": {"role": "assistant", "content": piece}, "done": False}
    if spoken.calls:
        yield head | {"message": _called(spoken), "done": False}
    words = len(spoken.content.split())
    counts = {"prompt_eval_count": 26, "eval_count": words}
    end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    yield head | end | counts | _COUNTS


def spoken_whole(head: Line, spoken: Spoken) -> Line:
    """The answer at once."""
    *_, last = spoken_lines(head, spoken)
    return last | {"message": _called(spoken) | {"content": spoken.content}}


def _called(spoken: Spoken) -> Line:
    message: Line = {"role": "assistant", "content": ""}
    if spoken.calls:
        message["tool_calls"] = [
            {"id": one.id, "function": {"index": n, "name": one.name, "arguments": one.arguments}}
            for n, one in enumerate(spoken.calls)
        ]
    return message
