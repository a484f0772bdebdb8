# requires: ollama==0.6.3
"""Ollama's own client against the simulator: `python ollama_sdk.py URL`."""

import base64
import json
import sys
import urllib.request
from collections.abc import Callable

from ollama import Client, ResponseError

URL = sys.argv[1].rstrip("/")
checks: list[object] = []
client = Client(host=f"{URL}/ollama")


def check(fact: bool, what: object) -> None:
    """Count a fact, or end with what was found instead."""
    assert fact, what
    checks.append(what)


def tell(path: str, body: dict[str, object]) -> None:
    """POST to the simulator's own switches."""
    request = urllib.request.Request(
        f"{URL}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).close()


def refused(act: Callable[[], object]) -> ResponseError:
    """The client's error for a call that must fail."""
    try:
        found = act()
    except ResponseError as error:
        return error
    raise AssertionError(f"answered {found}")


def draws() -> None:
    """A picture whole and step by step, and one changed."""
    whole = client.generate("x/z-image-turbo", "a red fox", width=512, height=768, options={"seed": 42})
    picture = base64.b64decode(whole.image)
    check(picture.startswith(b"\x89PNG") and whole.done and whole.done_reason == "stop", whole.done_reason)
    check(picture[16:24] == (512).to_bytes(4) + (768).to_bytes(4), "the size asked for")
    lines = list(client.generate("x/flux2-klein", "a red fox", stream=True, steps=4, options={"seed": 1}))
    check([line.completed for line in lines[:-1]] == [1, 2, 3, 4], lines[:-1])
    check(all(line.total == 4 and not line.done for line in lines[:-1]), lines[:-1])
    check(lines[-1].image is not None and lines[-1].done, "the last line")
    again = client.generate("x/flux2-klein:latest", "a red fox", steps=4, options={"seed": 1})
    check(again.image == lines[-1].image, "the same seed")
    edited = client.generate("x/flux2-klein:9b", "in snow", images=[picture], options={"seed": 1})
    check(edited.image not in (None, again.image), "an edit")
    loaded = client.generate("x/z-image-turbo", "")
    check((loaded.done_reason, loaded.image) == ("load", None), loaded)


def fails() -> None:
    """Each error with its status, and one inside an answer that had begun."""
    error = refused(lambda: client.generate("x/nothing", "a fox"))
    check((error.status_code, error.error) == (404, "model 'x/nothing' not found"), error)
    error = refused(lambda: client.generate("x/z-image-turbo", "a fox", width=5000, height=10))
    check((error.status_code, error.error) == (400, "width and height must be <= 4096"), error)
    tell("/__emu/faults", {"vendor": "ollama", "fault": "overloaded"})
    check(refused(lambda: client.generate("x/z-image-turbo", "a fox")).status_code == 503, "busy")
    tell("/__emu/faults", {"vendor": "ollama", "fault": "job_fails"})
    error = refused(lambda: list(client.generate("x/z-image-turbo", "a fox", stream=True)))
    check((error.status_code, "runner failed" in error.error) == (-1, True), error)
    tell("/__emu/faults", {"vendor": "ollama", "fault": "empty_success"})
    empty = client.generate("x/z-image-turbo", "a fox")
    check((empty.done, empty.image) == (True, None), empty)


def withdrawn() -> None:
    """A later server says it can draw, and does not."""
    tell("/ollama/__emu/version", {"version": "0.32.6"})
    error = refused(lambda: client.generate("x/z-image-turbo", "a fox"))
    check(error.error == "image generation models are not currently supported", error)
    check("image" in client.show("x/z-image-turbo").capabilities, "its capabilities")
    tell("/ollama/__emu/version", {"version": "0.32.5"})


def talks() -> None:
    """Words: whole, in pieces, in a shape, with thoughts, cut off by them."""
    asked = [{"role": "system", "content": "Better the prompt."}, {"role": "user", "content": "a cat"}]
    whole = client.chat("gpt-oss:20b", asked, think="low")
    check(whole.message.content.startswith("a cat, ") and whole.message.thinking, whole)
    check(whole.eval_count == len(f"{whole.message.content} {whole.message.thinking}".split()), whole)
    pieces = list(client.chat("llama3.2", asked, stream=True))
    check("".join(one.message.content for one in pieces) == whole.message.content, pieces)
    check(pieces[-1].done and not pieces[0].done, pieces)
    schema = {
        "type": "object",
        "properties": {"prompt": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
        "required": ["prompt"],
    }
    shaped = json.loads(client.chat("llama3.2", asked, format=schema).message.content)
    check(set(shaped) == {"prompt", "tags"} and shaped["prompt"].startswith("a cat"), shaped)
    short = client.chat("gpt-oss:20b", asked, think="high", options={"num_predict": 10})
    check((short.message.content, short.done_reason) == ("", "length"), short)
    check("does not support thinking" in refused(lambda: client.chat("llama3.2", asked, think=True)).error, 0)
    check("invalid think value" in refused(lambda: client.chat("gpt-oss:20b", asked, think="x")).error, 0)
    check("does not support chat" in refused(lambda: client.chat("x/z-image-turbo", asked)).error, 0)
    raw = client.generate("llama3.2", "a cat")
    check(raw.response.startswith("a cat, ") and raw.image is None, raw)


def looks() -> None:
    """What is installed and loaded."""
    names = {model.model for model in client.list().models}
    check({"x/z-image-turbo:latest", "gpt-oss:20b"} <= names, names)
    check(client.ps().models[0].model == "gpt-oss:20b", client.ps())
    check(client.show("gpt-oss:20b").capabilities == ["completion", "tools", "thinking"], "its capabilities")
    check(client.pull("llava").status == "success" and "llava:latest" in str(client.list()), "pulled")


draws()
fails()
withdrawn()
talks()
looks()
print(f"ok: {len(checks)} checks")  # noqa: T201 - the answer the runner reads
