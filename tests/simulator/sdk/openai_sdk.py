# requires: openai==3.51.0
"""OpenAI's own SDK at the stand-ins of OpenAI and of a server like it: `openai_sdk.py <simulator url>`."""

import base64
import json
import struct
import sys
import urllib.request
import zlib

import openai
from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent

URL = sys.argv[1].rstrip("/")
checks = 0


def check(got, wanted):
    global checks  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
    checks += 1


def client(key="sk-emu", vendor="openai", **more):
    return openai.OpenAI(api_key=key, base_url=f"{URL}/{vendor}/v1", **({"max_retries": 0} | more))


def png(width=64, height=64, alpha=255):
    """A PNG of one colour, by hand: this environment has no imaging library."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    row = b"\0" + bytes((0, 128, 128, alpha)) * width
    body = zlib.compress(row * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def size_of(data):
    return struct.unpack(">II", data[16:24]) if data.startswith(b"\x89PNG") else data[:4]


def admin(path):
    with urllib.request.urlopen(f"{URL}/__emu/{path}", timeout=10) as answer:
        return json.load(answer)


def fails(kind, act):
    try:
        act()
    except kind as error:
        check(type(error), kind)
        return error
    raise AssertionError(f"no {kind.__name__}")


def generate():
    made = client().images.generate(
        model="gpt-image-2", prompt="a red fox", size="1536x1024", quality="low", n=2, output_format="png"
    )
    check([size_of(base64.b64decode(one.b64_json)) for one in made.data], [(1536, 1024)] * 2)
    check([(one.url, one.revised_prompt) for one in made.data], [(None, None)] * 2)
    check(
        (made.size, made.quality, made.output_format, made.background), ("1536x1024", "low", "png", "opaque")
    )
    details = made.usage.input_tokens_details
    check((details.text_tokens, details.image_tokens, made.usage.output_tokens), (5, 0, 320))
    check(made.usage.total_tokens, 325)
    check(bool(made._request_id), True)
    line = admin("bill?vendor=openai")["lines"][-1]
    check((line["usd"], line["images"]), ("0.009625", 2))


def forgetful():
    made = client().images.generate(model="gpt-image-2", prompt="a fox", safety_identifier="5f1c")
    check((made.quality, made.size, made.safety_identifier), ("high", "1024x1024", "5f1c"))
    check(made.usage.output_tokens, 7024)


def edit():
    picture, mask = ("a.png", png(), "image/png"), ("m.png", png(alpha=0), "image/png")
    one = client().images.edit(
        model="gpt-image-2", image=picture, prompt="blue", size="1024x1024", quality="low"
    )
    check(one.usage.input_tokens_details.image_tokens, 4)
    two = client().images.edit(
        model="gpt-image-2", image=[picture, picture], mask=mask, prompt="blue", quality="low", n=2
    )
    check((len(two.data), two.usage.input_tokens_details.image_tokens), (2, 8))
    small = ("m.png", png(32, 32), "image/png")
    wrong = fails(
        openai.BadRequestError,
        lambda: client().images.edit(model="gpt-image-2", image=picture, mask=small, prompt="blue"),
    )
    check((wrong.param, wrong.code), ("mask", "invalid_mask"))
    broken = fails(
        openai.BadRequestError,
        lambda: client().images.edit(model="gpt-image-2", image=("a.png", b"no", "image/png"), prompt="blue"),
    )
    check(broken.code, "invalid_image_file")
    gone = fails(openai.BadRequestError, lambda: client().images.create_variation(image=picture))
    check(gone.param, "model")


def stream():
    def events(prompt, previews=2, **more):
        said = {"model": "gpt-image-2", "prompt": prompt, "quality": "low", "partial_images": previews} | more
        return list(client().images.generate(stream=True, **said))

    heard = events("a fox")
    check([one.type for one in heard[:2]], ["image_generation.partial_image"] * 2)
    check([isinstance(one, ImageGenPartialImageEvent) for one in heard], [True, True, False])
    check([one.partial_image_index for one in heard[:2]], [0, 1])
    check(isinstance(heard[2], ImageGenCompletedEvent), True)
    check((size_of(base64.b64decode(heard[2].b64_json)), heard[2].usage.output_tokens), ((1024, 1024), 396))
    check(len(events("[[openai:fewer_previews]]", 3)), 2)
    check([one.type for one in events("[[openai:stream_cut]]", 1)], ["image_generation.partial_image"])
    broken = fails(openai.APIError, lambda: events("[[emu:job_fails]]"))
    check((broken.code, broken.type), ("image_generation_failed", "image_generation_server_error"))
    edits = client().images.edit(
        model="gpt-image-2", image=("a.png", png(), "image/png"), prompt="blue", stream=True, partial_images=1
    )
    check([one.type for one in edits], ["image_edit.partial_image", "image_edit.completed"])


def moderations():
    ask = client().moderations.create
    text = ask(model="omni-moderation-latest", input="a red fox").results
    check([(one.flagged, one.categories.sexual) for one in text], [(False, False)])
    several = ask(model="omni-moderation-latest", input=["a fox", "a nude"]).results
    check([one.flagged for one in several], [False, True])
    data_url = "data:image/png;base64," + base64.b64encode(png()).decode()
    both = ask(
        model="omni-moderation-latest",
        input=[{"type": "text", "text": "gore"}, {"type": "image_url", "image_url": {"url": data_url}}],
    ).results
    check([(one.flagged, one.categories.violence_graphic) for one in both], [(True, True)])
    check((both[0].category_scores.violence_graphic, both[0].category_scores.sexual_minors), (0.93, 0.0))
    check(both[0].category_applied_input_types.violence_graphic, ["text", "image"])
    check(len(both[0].categories.model_dump(by_alias=True)), 13)
    wrong = fails(openai.BadRequestError, lambda: ask(input=7))
    check(wrong.param, "input")


def models():
    listed = {one.id: one.shutdown_date for one in client().models.list()}
    check((listed["gpt-image-2"], "dall-e-3" in listed, "gpt-image-1" in listed), (None, False, False))
    check(client().models.retrieve("gpt-image-2.6-flare").owned_by, "system")
    check(fails(openai.NotFoundError, lambda: client().models.retrieve("dall-e-3")).code, "model_not_found")


def errors():
    def order(prompt="a fox", key="sk-emu", **more):
        said = {"model": "gpt-image-2", "quality": "low"} | more
        return lambda: client(key).images.generate(prompt=prompt, **said)

    rows = (
        (
            openai.AuthenticationError,
            order(key="sk-wrong-0123456789"),
            "invalid_api_key",
            "invalid_request_error",
        ),
        (openai.PermissionDeniedError, order(key="sk-emu-unverified"), None, "invalid_request_error"),
        (
            openai.PermissionDeniedError,
            order(key="sk-emu-forbidden"),
            "unsupported_country_region_territory",
            "request_forbidden",
        ),
        (
            openai.RateLimitError,
            order(key="sk-emu-nocredit"),
            "credit_balance_exhausted",
            "insufficient_quota",
        ),
        (openai.RateLimitError, order(key="sk-emu-limited"), "rate_limit_exceeded", "requests"),
        (
            openai.BadRequestError,
            order("[[openai:billing_hard_limit]]"),
            "billing_hard_limit_reached",
            "invalid_request_error",
        ),
        (openai.BadRequestError, order("a nude"), "moderation_blocked", "image_generation_user_error"),
        (
            openai.BadRequestError,
            order("[[openai:moderation_output]]"),
            "moderation_blocked",
            "image_generation_user_error",
        ),
        (openai.BadRequestError, order(model="dall-e-3"), "invalid_value", "image_generation_user_error"),
        (openai.BadRequestError, order(model="gpt-image-1"), "invalid_value", "image_generation_user_error"),
        (openai.BadRequestError, order(size="512x512"), "invalid_value", "image_generation_user_error"),
        (openai.BadRequestError, order(size="4096x4096"), "invalid_value", "image_generation_user_error"),
        (openai.BadRequestError, order(quality="hd"), "invalid_value", "image_generation_user_error"),
        (openai.BadRequestError, order(n=11), "invalid_value", "image_generation_user_error"),
        (openai.BadRequestError, order(prompt="x" * 32_001), "invalid_value", "image_generation_user_error"),
        (
            openai.BadRequestError,
            order(background="transparent", output_format="jpeg"),
            "invalid_value",
            "image_generation_user_error",
        ),
        (openai.BadRequestError, order(response_format="url"), "unknown_parameter", "invalid_request_error"),
        (openai.BadRequestError, order(style="vivid"), "unknown_parameter", "invalid_request_error"),
        (openai.BadRequestError, order(extra_body={"seed": 7}), "unknown_parameter", "invalid_request_error"),
        (openai.InternalServerError, order("[[emu:error_before]]"), None, "server_error"),
        (
            openai.InternalServerError,
            order("[[emu:overloaded]]"),
            "server_is_overloaded",
            "service_unavailable_error",
        ),
        (
            openai.NotFoundError,
            lambda: client().post("/pictures", cast_to=object),
            None,
            "invalid_request_error",
        ),
    )
    for kind, act, code, what in rows:
        error = fails(kind, act)
        check((error.code, error.type, bool(error.request_id)), (code, what, True))
    blocked = fails(openai.BadRequestError, order("a nude"))
    check(blocked.body["moderation_details"], {"moderation_stage": "input", "categories": ["sexual"]})
    limited = fails(openai.RateLimitError, order("[[emu:rate_limited]]"))
    check(limited.response.headers["retry-after"], "1")
    fails(openai.InternalServerError, order("[[emu:html_502]]"))
    fails(openai.APIConnectionError, order("[[emu:cut_before]]"))
    before = admin("bill?vendor=openai")["vendors"]["openai"]["orders"]
    fails(openai.APIConnectionError, order("[[emu:cut_after]]"))
    check(admin("bill?vendor=openai")["vendors"]["openai"]["orders"], before + 1)
    asked = len(admin("requests?vendor=openai")["requests"])
    retrying = client("sk-emu-nocredit", max_retries=2)
    fails(openai.RateLimitError, lambda: retrying.images.generate(model="gpt-image-2", prompt="a fox"))
    check(
        len(admin("requests?vendor=openai")["requests"]), asked + 3
    )  # the SDK repeats even where no money is left


def compatible():
    house = client("any", "openai-compatible")
    made = house.images.generate(model="sd-turbo", prompt="a fox", size="512x512")
    check(made.data[0].b64_json, None)
    with urllib.request.urlopen(made.data[0].url, timeout=10) as answer:
        check(size_of(answer.read()), (512, 512))
    whole = house.images.generate(model="sd-turbo", prompt="a fox", size="64x64", response_format="b64_json")
    check(size_of(base64.b64decode(whole.data[0].b64_json)), (64, 64))
    changed = house.images.edit(image=("a.png", png(), "image/png"), prompt="blue", size="128x64")
    check(changed.data[0].url.startswith(f"{URL}/openai-compatible/files/"), True)
    check([one.id for one in house.models.list()], ["sd-turbo", "flux-1-schnell", "qwen-image"])
    missing = fails(
        openai.NotFoundError, lambda: house.images.generate(model="no-such-model", prompt="a fox")
    )
    check(missing.status_code, 404)
    fails(openai.RateLimitError, lambda: house.images.generate(prompt="[[emu:rate_limited]]"))
    fails(openai.BadRequestError, lambda: house.images.generate(prompt="a fox", size="vast"))


for part in (generate, forgetful, edit, stream, moderations, models, errors, compatible):
    part()
print(f"ok: {checks} checks")  # noqa: T201 - what whoever runs it reads
