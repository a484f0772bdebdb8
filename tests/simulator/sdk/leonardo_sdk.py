# requires: Leonardo-Ai-SDK==7.0.0
"""Leonardo's own SDK, which knows v1 only, at the stand-in: `leonardo_sdk.py <simulator url>`."""

import json
import struct
import sys
import time
import urllib.error
import urllib.request
import zlib

from leonardo_ai_sdk import LeonardoAiSDK
from leonardo_ai_sdk.models import errors
from leonardo_ai_sdk.models.shared import SdGenerationStyle

URL = sys.argv[1].rstrip("/")
GOOD = "0e0c1c52-7a4b-4d0e-9c57-1e0a2d0eaaaa"
PHOENIX = "de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3"
checks = 0


def check(got, wanted):
    global checks  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
    checks += 1


def client(key=GOOD):
    return LeonardoAiSDK(bearer_auth=key, server_url=f"{URL}/leonardo/api/rest/v1")


def admin(path):
    with urllib.request.urlopen(f"{URL}/__emu/{path}", timeout=10) as answer:
        return json.load(answer)


def fails(status, said, act):
    try:
        act()
    except errors.SDKError as error:
        check(error.status_code, status)
        check(json.loads(error.body)["error"], said)
        return
    raise AssertionError("no SDKError")


def png(width=64, height=64):
    """A PNG of one colour, by hand: this environment has no imaging library."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress((b"\0" + bytes((0, 128, 128)) * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def finished(id):  # noqa: A002 - the vendor's word
    for _ in range(200):
        found = client().image.get_generation_by_id(id=id).object.generations_by_pk
        if found.status.value != "PENDING":
            return found
        time.sleep(0.05)
    raise AssertionError("never finished")


def created(**fields):
    return client().image.create_generation(request=fields).object.sd_generation_job


def generate():
    job = created(
        prompt="a red fox",
        model_id=PHOENIX,
        contrast=3.5,
        num_images=2,
        width=512,
        height=640,
        alchemy=False,
        seed=7,
    )
    check((job.cost.amount, job.cost.unit.value), ("0.018", "DOLLARS"))
    found = finished(job.generation_id)
    check((found.status.value, found.seed, found.prompt), ("COMPLETE", 7, "a red fox"))
    check((found.image_width, found.image_height, found.model_id), (512, 640, PHOENIX))
    check([one.nsfw for one in found.generated_images], [False, False])
    with urllib.request.urlopen(found.generated_images[0].url, timeout=10) as answer:
        check(answer.read(3), b"\xff\xd8\xff")
    listed = client().image.get_generations_by_user_id(user_id=user(), limit=1).object.generations
    check([one.id for one in listed], [job.generation_id])
    check(client().image.get_generation_by_id(id=GOOD).object.generations_by_pk, None)


def user():
    return client().user.get_user_self().object.user_details[0].user.id


def forgetful():
    """A bare prompt goes out with four pictures, alchemy and a style, and all of it is billed."""
    before = len(admin("bill?vendor=leonardo")["lines"])
    job = created(prompt="a fox")
    check(len(finished(job.generation_id).generated_images), 4)
    line = admin("bill?vendor=leonardo")["lines"][before]
    check((line["images"], line["usd"]), (4, "0.060"))
    sent = [one for one in admin("requests?vendor=leonardo")["requests"] if one["method"] == "POST"][-1][
        "body"
    ]
    check((sent["num_images"], sent["alchemy"], sent["presetStyle"]), (4, True, "DYNAMIC"))


def from_a_picture():
    store = client().init_images.upload_init_image(request={"extension": "png"}).object.upload_init_image
    fields = json.loads(store.fields)
    check(post(store.url, fields, {"Authorization": f"Bearer {GOOD}"}), 403)
    check(post(store.url, fields, {}), 204)
    job = created(prompt="a fox", init_image_id=store.id, init_strength=0.4, num_images=1, alchemy=False)
    check(finished(job.generation_id).status.value, "COMPLETE")
    fails(400, "invalid init image id", lambda: created(prompt="a fox", init_image_id=GOOD))
    wrong = {"extension": "gif"}
    fails(400, "invalid file extension", lambda: client().init_images.upload_init_image(request=wrong))


def post(url, fields, headers):
    """The second step is no part of the SDK."""
    edge = "----limner"
    head = "".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    file = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    body = head.encode() + file.encode() + png() + f"\r\n--{edge}--\r\n".encode()
    headers = headers | {"Content-Type": f"multipart/form-data; boundary={edge}"}
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def failed():
    job = created(prompt="a fox [[emu:job_fails]]", num_images=1)
    check((finished(job.generation_id).status.value), "FAILED")
    check(client().image.delete_generation_by_id(id=job.generation_id).status_code, 200)


def faults():
    hook = "Authentication hook unauthorized this request"
    fails(401, hook, client("11111111-2222-4333-8444-555555555555").user.get_user_self)
    fails(500, "Invalid response from authorization hook", client("sk-123").user.get_user_self)
    fails(400, "content moderation filter: nude", lambda: created(prompt="a fox [[emu:refused]]"))
    fails(429, "Too many requests, please try again later.", lambda: created(prompt="[[emu:rate_limited]]"))
    fails(500, "Service Error", lambda: created(prompt="[[emu:error_before]]"))
    long = "Invalid prompt, maximum length of 1500 characters exceeded."
    fails(400, long, lambda: created(prompt="x" * 1501))
    fails(400, "invalid dimensions", lambda: created(prompt="a fox", width=2000))
    gone = f"{GOOD} is not supported within the Production API. Please try again with a different model ID."
    fails(400, gone, lambda: created(prompt="a fox", model_id=GOOD))
    fails(
        400,
        "Value error, contrast is required for Phoenix",
        lambda: created(prompt="a fox", model_id=PHOENIX),
    )
    check(created(prompt="a fox", preset_style=SdGenerationStyle.NONE, num_images=1) is not None, True)


def models():
    names = {one.id: one.name for one in client().models.list_platform_models().object.custom_models}
    check(names[PHOENIX], "Phoenix 1.0")


for part in (generate, forgetful, from_a_picture, failed, faults, models):
    part()
print(f"ok: {checks} checks")  # noqa: T201 - what whoever runs it reads
