# requires: litellm==1.106.2
"""LiteLLM's SDK at Limner, unmodified: `litellm_sdk.py <Limner's url>`. One line per check."""

import base64
import struct
import sys
import tempfile
import urllib.request
import zlib

import litellm

URL = sys.argv[1].rstrip("/")
done = 0


def check(what, got, wanted):
    global done  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"
    done += 1
    print(f"ok {what}", flush=True)


def png(side=64):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress((b"\0" + bytes((0, 128, 128)) * side) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def size_of(data):
    return struct.unpack(">II", data[16:24])


def sizes(made):
    return [size_of(base64.b64decode(one.b64_json)) for one in made.data]


HERE = {"api_base": f"{URL}/v1", "api_key": "unused"}
made = litellm.image_generation(
    prompt="a red fox", model="openai/gpt-image-2", n=2, size="1024x1024", quality="low", **HERE
)
check("generate", sizes(made), [(1024, 1024)] * 2)
made = litellm.image_generation(prompt="a red fox", model="openai/dall-e-3", **HERE)
with urllib.request.urlopen(made.data[0].url, timeout=10) as picture:
    check("dall-e-3 answers an address", size_of(picture.read()), (1024, 1024))
with tempfile.NamedTemporaryFile(suffix=".png") as file:
    file.write(png())
    file.seek(0)
    made = litellm.image_edit(
        image=file, prompt="a hat", model="openai/gpt-image-2", size="1024x1024", quality="low", **HERE
    )
check("edit", sizes(made), [(1024, 1024)])
judged = litellm.moderation(input="a red fox", model="omni-moderation-latest", **HERE)
check("moderation", len(judged.results), 1)
try:
    litellm.image_generation(prompt="a red fox", model="openai/nobody", **HERE)
except litellm.NotFoundError as error:
    check("no such model", error.status_code, 404)
try:
    litellm.image_generation(prompt="[[emu:refused]] a fox", model="openai/gpt-image-2", **HERE)
except litellm.BadRequestError as error:
    check("declined", (error.status_code, "safety" in str(error)), (400, True))
check("every error was one", done, 6)
print(f"ok: {done} checks")
