# requires: fal-client==1.0.3
"""fal's own SDK at the stand-in: `fal_sdk.py <simulator url>`. Its addresses can only be set inside it."""

import base64
import json
import struct
import sys
import urllib.request
import zlib

from fal_client import client as fal

URL = sys.argv[1].rstrip("/")
fal.QUEUE_URL_FORMAT = f"{URL}/fal/queue/"
fal.RUN_URL_FORMAT = f"{URL}/fal/run/"
fal.MAX_ATTEMPTS = 1  # it would order again after a refusal for the rate
SCHNELL = "fal-ai/flux/schnell"
SIZE = {"width": 512, "height": 384}
checks = 0


def check(got, wanted):
    global checks  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
    checks += 1


def client(key="fal-emu"):
    return fal.SyncClient(key=key)


def admin(path):
    with urllib.request.urlopen(f"{URL}/__emu/{path}", timeout=10) as answer:
        return json.load(answer)


def fails(status, act):
    try:
        act()
    except fal.FalClientHTTPError as error:
        check(error.status_code, status)
        return error
    raise AssertionError("no FalClientHTTPError")


def subscribe(model=SCHNELL, key="fal-emu", **arguments):
    return client(key).subscribe(model, {"prompt": "a red fox", "image_size": SIZE} | arguments)


def png(width, height):
    """A PNG of one colour, by hand: this environment has no imaging library."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress((b"\0" + bytes((0, 128, 128)) * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def size_of(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return struct.unpack(">II", answer.read()[16:24])


def generate():
    seen = []
    made = client().subscribe(
        SCHNELL,
        {"prompt": "a red fox", "image_size": SIZE, "num_images": 2, "seed": 7, "output_format": "png"},
        on_queue_update=lambda update: seen.append(type(update).__name__),
    )
    check((made["seed"], made["prompt"], made["has_nsfw_concepts"]), (7, "a red fox", [False, False]))
    check([size_of(one["url"]) for one in made["images"]], [(512, 384)] * 2)
    check(seen[-1], "Completed")
    check(set(seen) <= {"Queued", "InProgress", "Completed"}, True)
    check(admin("bill?vendor=fal")["lines"][-1]["usd"], "0.006")


def by_hand():
    handle = client().submit(
        "fal-ai/flux/dev", {"prompt": "a fox", "image_size": "square", "output_format": "png"}
    )
    check(handle.status_url, f"{URL}/fal/queue/fal-ai/flux/requests/{handle.request_id}/status")
    result = handle.get()
    check(size_of(result["images"][0]["url"]), (512, 512))
    check(type(client().status("fal-ai/flux/dev", handle.request_id)).__name__, "Completed")
    check(client().result("fal-ai/flux/dev", handle.request_id), result)
    fails(400, handle.cancel)


def stopped():
    handle = client().submit(SCHNELL, {"prompt": "a fox [[emu:never_ends]]"})
    check(type(handle.status()).__name__, "Queued")
    handle.cancel()
    status = handle.status()
    check((type(status).__name__, status.error_type), ("Completed", "request_cancelled"))


def from_a_picture():
    picture = "data:image/png;base64," + base64.b64encode(png(96, 64)).decode()
    arguments = {"prompt": "a fox", "image_url": picture, "strength": 0.5, "output_format": "png"}
    made = client().subscribe("fal-ai/flux/dev/image-to-image", arguments)
    check(size_of(made["images"][0]["url"]), (96, 64))
    bad = arguments | {"image_url": "data:image/png;base64,AAAA"}
    error = fails(422, lambda: client().subscribe("fal-ai/flux/dev/image-to-image", bad))
    check(error.message[0]["type"], "image_load_error")


def without_the_queue():
    made = client().run(SCHNELL, {"prompt": "a fox", "image_size": SIZE, "sync_mode": True})
    check(made["images"][0]["url"].startswith("data:image/jpeg;base64,"), True)


def faults():
    before = len(admin("bill?vendor=fal")["lines"])
    error = fails(422, lambda: subscribe(prompt="a fox [[emu:refused]]"))
    check(error.message[0]["type"], "content_policy_violation")
    error = fails(422, lambda: subscribe(num_inference_steps=13))
    check(
        (error.message[0]["type"], error.message[0]["loc"]),
        ("less_than_equal", ["body", "num_inference_steps"]),
    )
    error = fails(500, lambda: subscribe(prompt="a fox [[emu:job_fails]]"))
    check(error.error_type, "runner_disconnected")
    fails(401, lambda: subscribe(key="someone-else"))
    check("Exhausted balance" in fails(403, lambda: subscribe(key="fal-emu-nocredit")).message, True)
    fails(429, lambda: subscribe(key="fal-emu-limited"))
    fails(500, lambda: subscribe(prompt="[[emu:error_before]]"))
    fails(404, lambda: subscribe("fal-ai/nothing"))
    check(len(admin("bill?vendor=fal")["lines"]), before)
    check(subscribe(prompt="a fox (black)")["has_nsfw_concepts"], [True])
    check(len(admin("bill?vendor=fal")["lines"]), before + 1)


for part in (generate, by_hand, stopped, from_a_picture, without_the_queue, faults):
    part()
print(f"ok: {checks} checks")  # noqa: T201 - what whoever runs it reads
