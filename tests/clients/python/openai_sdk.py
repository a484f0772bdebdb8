# requires: openai==3.51.0
"""OpenAI's Python SDK at Limner, unmodified: `openai_sdk.py <Limner's url>`. One line per check."""

import base64
import json
import struct
import sys
import urllib.request
import zlib

import openai

URL = sys.argv[1].rstrip("/")
done = 0


def check(what, got, wanted):
    global done  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"
    done += 1
    print(f"ok {what}", flush=True)


def png(width=1024, height=1024, alpha=255):
    """A PNG of one colour, by hand: this environment has no imaging library."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = zlib.compress((b"\0" + bytes((0, 128, 128, alpha)) * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def size_of(data):
    return struct.unpack(">II", data[16:24]) if data.startswith(b"\x89PNG") else data[:8]


def sizes(answer):
    return [size_of(base64.b64decode(one.b64_json)) for one in answer.data]


def jobs(prompt):
    """How many orders of this prompt there are, by Limner's own word."""
    with urllib.request.urlopen(f"{URL}/v1/jobs?limit=100", timeout=10) as answer:
        listed = json.load(answer)["data"]
    return sum(job["request"]["prompt"] == prompt for job in listed)


def fails(what, kind, told, act):
    try:
        act()
    except openai.APIStatusError as error:
        check(what, (type(error), error.status_code, error.param, error.code), (kind, *told))
        check(f"{what}: with the request's id", bool(error.request_id), True)
        return
    raise AssertionError(f"{what}: no error")


def client(**more):
    return openai.OpenAI(base_url=f"{URL}/v1", api_key="unused", **more)


FOX = ("fox.png", png(), "image/png")
MASK = ("mask.png", png(alpha=0), "image/png")
SMALL = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low"}


def generations(images):
    made = images.generate(prompt="a red fox", n=2, **SMALL)
    check("generate: two pictures", sizes(made), [(1024, 1024)] * 2)
    check("generate: facts", (made.size, made.quality, made.output_format), ("1024x1024", "low", "png"))
    check("generate: usage is whole or absent", made.usage, None)
    check("generate: no address beside the bytes", [one.url for one in made.data], [None, None])
    made = images.generate(prompt="a red fox", model="dall-e-3")
    check("generate: dall-e-3 answers an address", made.data[0].b64_json, None)
    with urllib.request.urlopen(made.data[0].url, timeout=10) as picture:
        check("generate: the address serves the picture", size_of(picture.read()), (1024, 1024))
    made = images.generate(
        prompt="a red fox",
        model="gpt-image-1",
        size="auto",
        quality="auto",
        background="auto",
        moderation="auto",
    )
    check("generate: auto everywhere", len(made.data), 1)


def headers(images):
    raw = images.with_raw_response.generate(prompt="a red fox", model="gpt-image-1", extra_body={"fancy": 1})
    check("headers: who drew it", raw.headers["x-limner-provider"], "openai")
    check("headers: what was ignored", raw.headers["x-limner-ignored"], "fancy")
    check("headers: what was bent", "gpt-image-1 was retired" in raw.headers["x-limner-notes"], True)
    check("headers: request id", bool(raw.headers["x-request-id"]), True)


def streams(images):
    told = list(images.generate(prompt="a red fox", stream=True, partial_images=2, **SMALL))
    check("stream: ends with the picture", told[-1].type, "image_generation.completed")
    check("stream: whole", size_of(base64.b64decode(told[-1].b64_json)), (1024, 1024))
    previews = [one.partial_image_index for one in told[:-1]]
    check("stream: previews in order", previews, list(range(len(previews))))
    told = list(images.edit(image=FOX, prompt="a hat", stream=True, **SMALL))
    check("edit stream", (told[-1].type, told[-1].size), ("image_edit.completed", "1024x1024"))


def edits(images):
    check("edit: one picture", sizes(images.edit(image=FOX, prompt="a hat", **SMALL)), [(1024, 1024)])
    check("edit: several", len(images.edit(image=[FOX, FOX], prompt="both", n=2, **SMALL).data), 2)
    made = images.edit(image=FOX, mask=MASK, prompt="a hat", input_fidelity="high", **SMALL)
    check("edit: with a mask", sizes(made), [(1024, 1024)])
    bare = images.edit(image=png(), prompt="a hat", **SMALL)
    check("edit: bytes without a name", sizes(bare), [(1024, 1024)])


def variations(images):
    made = images.create_variation(image=FOX, n=1, size="1024x1024", response_format="b64_json")
    check("variation", sizes(made), [(1024, 1024)])
    raw = images.with_raw_response.create_variation(image=FOX, model="dall-e-2")
    check("variation: dall-e-2 answers an address", bool(raw.parse().data[0].url), True)
    check("variation: what was bent", "nobody here draws variations" in raw.headers["x-limner-notes"], True)


def models(here):
    listed = here.models.list()
    names = [model.id for model in listed]
    check("models: listed", {"gpt-image-2", "gpt-image-1", "dall-e-3"} <= set(names), True)
    check("models: each once", len(names), len(set(names)))
    found = here.models.retrieve("gpt-image-2")
    check("models: read", (found.id, found.object, bool(found.owned_by)), ("gpt-image-2", "model", True))


def moderations(here):
    judged = here.moderations.create(input=["a red fox", "a fox [[sexual]]"])
    check("moderation: one result each", len(judged.results), 2)
    check("moderation: who judged", judged.model, "omni-moderation-latest")
    url = f"data:image/png;base64,{base64.b64encode(png(64, 64)).decode()}"
    parts = [{"type": "text", "text": "a fox"}, {"type": "image_url", "image_url": {"url": url}}]
    judged = here.moderations.create(model="omni-moderation-2024-09-26", input=parts)
    check("moderation: parts are judged together", len(judged.results), 1)
    check("moderation: every category", judged.results[0].category_scores.self_harm_intent is None, False)


def errors(here):
    images = here.images
    fails(
        "no prompt",
        openai.BadRequestError,
        (400, "prompt", "invalid_value"),
        lambda: images.generate(prompt=""),
    )
    fails(
        "no such model",
        openai.NotFoundError,
        (404, "model", "model_not_found"),
        lambda: images.generate(prompt="a", model="nobody"),
    )
    fails(
        "no such model to read",
        openai.NotFoundError,
        (404, "model", "model_not_found"),
        lambda: here.models.retrieve("nobody"),
    )
    fails(
        "no picture",
        openai.BadRequestError,
        (400, "image", "invalid_value"),
        lambda: images.edit(image=("a.png", b"no picture", "image/png"), prompt="a", **SMALL),
    )
    fails(
        "declined",
        openai.BadRequestError,
        (400, None, "moderation_blocked"),
        lambda: images.generate(prompt="[[emu:refused]] a fox", **SMALL),
    )


def retries():
    """The SDK sends what failed again, by itself; an order that may have been taken is not placed twice."""
    with client(max_retries=2) as here:
        for fault, kind, told in (
            ("cut_after", openai.InternalServerError, (504, None, "outcome_unknown")),
            ("error_after", openai.InternalServerError, (504, None, "outcome_unknown")),
        ):
            prompt = f"[[emu:{fault}]] a fox"
            fails(fault, kind, told, lambda prompt=prompt: here.images.generate(prompt=prompt, **SMALL))
            check(f"{fault}: ordered once", jobs(prompt), 1)
        key = {"Idempotency-Key": "client-1"}
        same = [here.images.generate(prompt="once", extra_headers=key, **SMALL) for _ in range(2)]
        check("idempotency: the same picture", same[0].data[0].b64_json == same[1].data[0].b64_json, True)
        check("idempotency: ordered once", jobs("once"), 1)
        fails(
            "idempotency: another body",
            openai.ConflictError,
            (409, None, "idempotency_conflict"),
            lambda: here.images.generate(prompt="twice", extra_headers=key, **SMALL),
        )


with client(max_retries=0) as one:
    generations(one.images)
    headers(one.images)
    streams(one.images)
    edits(one.images)
    variations(one.images)
    models(one)
    moderations(one)
    errors(one)
retries()
print(f"ok: {done} checks")
