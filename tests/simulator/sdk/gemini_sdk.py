# requires: google-genai==3.3.0
"""Google's own SDK at the stand-in: `gemini_sdk.py <simulator url>`."""

import json
import struct
import sys
import urllib.request
from functools import cache

from google import genai
from google.genai import errors, types

URL = sys.argv[1].rstrip("/")
MODEL = "gemini-nano-banana-2.1"
checks = 0


def check(got, wanted):
    global checks  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
    checks += 1


@cache  # a client that nobody holds closes itself in the middle of a call
def client(key="AIza-emu", version="v1beta"):
    options = types.HttpOptions(base_url=f"{URL}/gemini", api_version=version, timeout=20_000)
    return genai.Client(api_key=key, http_options=options)


def admin(path):
    with urllib.request.urlopen(f"{URL}/__emu/{path}", timeout=10) as answer:
        return json.load(answer)


def image_config(**fields):
    return types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(**fields), seed=7
    )


def ask(contents, model=MODEL, config=None, by=None):
    config = config or image_config(aspect_ratio="16:9", image_size="1K")
    return (by or client()).models.generate_content(model=model, contents=contents, config=config)


def size(png):
    return struct.unpack(">II", png[16:24])


def fails(code, status, said, act):
    try:
        act()
    except errors.APIError as error:
        check((error.code, error.status, said in error.message), (code, status, True))
        check(isinstance(error, errors.ClientError if code < 500 else errors.ServerError), True)
        return error
    raise AssertionError(f"no error {code} {status}")


# A picture: its bytes, its size, what it cost.
answer = ask("a red fox")
(part,) = answer.parts
picture = part.inline_data.data
check(part.inline_data.mime_type, "image/png")
check(size(picture), (1376, 768))
check(answer.candidates[0].finish_reason, types.FinishReason.STOP)
check(answer.usage_metadata.candidates_tokens_details[0].token_count, 1120)
check(answer.model_version, MODEL)
check(ask("a red fox").parts[0].inline_data.data, picture)
check(size(ask("a red fox", config=image_config(aspect_ratio="1:8")).parts[0].inline_data.data), (384, 3072))
check(size(ask("a red fox", config=image_config(image_size="2K")).parts[0].inline_data.data), (2048, 2048))

# The version the SDK chooses when it is left alone, thinking, and an edit.
bare = genai.Client(api_key="AIza-emu", http_options=types.HttpOptions(base_url=f"{URL}/gemini"))
check(len(ask("a fox", by=bare).parts), 1)
check(admin("journal?vendor=gemini")["requests"][-1]["path"].startswith("/gemini/v1"), True)
thinking = types.GenerateContentConfig(
    response_modalities=["IMAGE"],
    thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL),
    safety_settings=[
        types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_ONLY_HIGH"),
    ],
)
check(ask("a fox", config=thinking).usage_metadata.thoughts_token_count, 150)
source = types.Part.from_bytes(data=picture, mime_type="image/png")
edited = ask([source, "make it blue"])
check(edited.usage_metadata.prompt_token_count, 563)
check(edited.parts[0].inline_data.data == picture, False)
talking = ask("a fox", config=types.GenerateContentConfig())
check([bool(part.text) for part in talking.parts], [True, False])

# Refusals are answers with status 200.
blocked = ask("[[gemini:block_SAFETY]]")
check((blocked.candidates, blocked.prompt_feedback.block_reason), (None, types.BlockedReason.SAFETY))
refused = ask("[[gemini:IMAGE_SAFETY]]")
check((refused.parts, refused.candidates[0].finish_reason), (None, types.FinishReason.IMAGE_SAFETY))
check(ask("[[gemini:NO_IMAGE]]").candidates[0].finish_reason, types.FinishReason.NO_IMAGE)
check(ask("[[gemini:text_only]]").text.startswith("Foxes"), True)
drafts = ask("[[gemini:draft]]").parts
check([bool(part.thought) for part in drafts], [True, False])
check(ask("[[gemini:no_parts]]").parts, None)

# Errors, each in Google's words.
fails(400, "INVALID_ARGUMENT", "API key not valid", lambda: ask("a fox", by=client("AIza-wrong")))
fails(403, "PERMISSION_DENIED", "Permission denied", lambda: ask("a fox", by=client("AIza-emu-forbidden")))
fails(402, "RESOURCE_EXHAUSTED", "credits are depleted", lambda: ask("a fox", by=client("AIza-emu-nocredit")))
fails(429, "RESOURCE_EXHAUSTED", "credits are depleted", lambda: ask("[[gemini:credits_429]]"))
quota = fails(429, "RESOURCE_EXHAUSTED", "current quota", lambda: ask("[[gemini:per_minute]]"))
check(quota.details["error"]["details"][1]["retryDelay"], "0.8s")
fails(500, "INTERNAL", "internal error", lambda: ask("[[emu:error_before]]"))
fails(503, "UNAVAILABLE", "overloaded", lambda: ask("[[emu:overloaded]]"))
fails(404, "NOT_FOUND", "is not found for API version", lambda: ask("a fox", model="gemini-2.5-flash-image"))
fails(400, "INVALID_ARGUMENT", "image_size", lambda: ask("a fox", config=image_config(image_size="512")))
lite = "gemini-3.1-flash-lite-image"
fails(400, "INVALID_ARGUMENT", "image_size", lambda: ask("a fox", lite, image_config(image_size="1K")))
fails(400, "INVALID_ARGUMENT", "aspect_ratio", lambda: ask("a fox", lite, image_config(aspect_ratio="8:1")))
two = types.GenerateContentConfig(candidate_count=2)
fails(400, "INVALID_ARGUMENT", "Multiple candidates", lambda: ask("a fox", config=two))
fails(400, "INVALID_ARGUMENT", "Unable to process", lambda: ask([types.Part.from_bytes(
    data=b"no picture", mime_type="image/png"), "mend it"]))  # fmt: skip

# Models, and the bill.
names = [model.name for model in client().models.list()]
check(names, [f"models/{name}" for name in (MODEL, "gemini-3-pro-image", lite)])
check(len(list(client().models.list(config={"page_size": 2}))), 3)
check(client().models.get(model=MODEL).supported_actions, ["generateContent"])
fails(404, "NOT_FOUND", "is not found", lambda: client().models.get(model="gemini-x"))
bill = admin("bill?vendor=gemini")["vendors"]["gemini"]
check((bill["orders"], bill["images"]), (10, 10))

print(f"ok: {checks} checks")  # noqa: T201 - what whoever runs it reads
