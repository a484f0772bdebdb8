# requires: together==3.1.1
"""Together's own SDK at the stand-in: `together_sdk.py <simulator url>`. Its address ends before /v1."""

import base64
import json
import struct
import sys
import urllib.error
import urllib.request

import together

URL = sys.argv[1].rstrip("/")
SCHNELL = "black-forest-labs/FLUX.1-schnell"
KEY = {"Authorization": "Bearer tgp_v1_emu"}
checks = 0


def check(got, wanted):
    global checks  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
    checks += 1


def client(key="tgp_v1_emu"):
    return together.Together(api_key=key, base_url=f"{URL}/together", max_retries=0, timeout=20)


def admin(path):
    with urllib.request.urlopen(f"{URL}/__emu/{path}", timeout=10) as answer:
        return json.load(answer)


def ask(prompt, model=SCHNELL, by=None, **fields):
    fields = {"response_format": "base64"} | fields
    return (by or client()).images.generate(model=model, prompt=prompt, **fields)


def size(png):
    return struct.unpack(">II", png[16:24])


def fails(status, kind, code, act):
    try:
        act()
    except together.APIStatusError as error:
        told = error.body.get("error", error.body)
        check((error.status_code, told["type"], told["code"]), (status, kind, code))
        return error
    raise AssertionError(f"no error {status}")


# Pictures by base64 and by address.
answer = ask("a red fox", width=640, height=512, steps=4, n=2, seed=3)
pictures = [base64.b64decode(item.b64_json) for item in answer.data]
check([size(picture) for picture in pictures], [(640, 512)] * 2)
check(pictures[0] == pictures[1], False)
check([item.index for item in answer.data], [0, 1])
check((answer.object, answer.model), ("list", SCHNELL))
check(base64.b64decode(ask("a red fox", width=640, height=512, seed=3).data[0].b64_json), pictures[0])
linked = ask("a red fox", response_format="url").data[0]
with urllib.request.urlopen(linked.url, timeout=10) as file:
    check(size(file.read()), (1024, 1024))
carrying = urllib.request.Request(linked.url, headers=KEY)
try:
    urllib.request.urlopen(carrying, timeout=10)
    raise AssertionError("a file was given to somebody who showed a key")
except urllib.error.HTTPError as error:
    check(error.code, 403)

# What the SDK makes of an item without its `type`, an edit, a rewritten prompt.
check(ask("[[together:no_type]]").data[0].b64_json is not None, True)
picture_url = "data:image/png;base64," + base64.b64encode(pictures[0]).decode()
kontext = "black-forest-labs/FLUX.1-kontext-pro"
edited = ask("make it blue", kontext, image_url=picture_url, extra_body={"aspect_ratio": "16:9"})
check(size(base64.b64decode(edited.data[0].b64_json)), (1392, 752))
flux = "black-forest-labs/FLUX.2-pro"
plain = ask("a fox", flux, seed=1, extra_body={"prompt_upsampling": False})
check(plain.data[0].b64_json == ask("a fox", flux, seed=1).data[0].b64_json, False)

# Errors, each in Together's words.
invalid = "invalid_request_error"
fails(401, invalid, "invalid_api_key", lambda: ask("a fox", by=client("tgp_wrong")))
fails(402, "credit_limit", None, lambda: ask("a fox", by=client("tgp_v1_emu-nocredit")))
fails(403, invalid, None, lambda: ask("a fox", by=client("tgp_v1_emu-forbidden")))
limited = fails(429, "model_rate_limit", None, lambda: ask("a fox", by=client("tgp_v1_emu-limited")))
check((limited.response.headers["retry-after"], type(limited)), ("1", together.RateLimitError))
fails(503, "service_unavailable", None, lambda: ask("[[emu:overloaded]]"))
fails(500, "server_error", None, lambda: ask("[[emu:error_before]]"))
fails(404, invalid, "model_not_available", lambda: ask("a fox", "stabilityai/stable-diffusion-2-1"))
fails(404, invalid, "model_not_available", lambda: ask("a fox", SCHNELL.lower()))
fails(400, invalid, "model_not_available", lambda: ask("[[together:gone_400]]"))
fails(422, invalid, None, lambda: ask("[[emu:refused]]"))
for fields, name in (
    ({"steps": 5}, "steps"),
    ({"n": 5}, "n"),
    ({"response_format": "b64_json"}, "response_format"),
    ({"width": 1000}, "width"),
    ({"image_url": picture_url}, "image_url"),
):
    wrong = fails(400, invalid, None, lambda fields=fields: ask("a fox", **fields))
    check(wrong.body.get("error", wrong.body)["param"], name)
check(ask("a fox", extra_body={"no_such_field": 1}).object, "list")

# Models, and the bill.
asked = urllib.request.Request(f"{URL}/together/v1/models", headers=KEY)
with urllib.request.urlopen(asked, timeout=10) as models:
    check(json.load(models)[0]["id"], SCHNELL)  # a bare array; this version of the SDK asks elsewhere
bill = admin("bill?vendor=together")["vendors"]["together"]
check((bill["orders"], bill["images"]), (8, 9))

print(f"ok: {checks} checks")  # noqa: T201 - what whoever runs it reads
