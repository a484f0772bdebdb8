# requires: groq==1.7.0
"""Groq's own SDK at the stand-in: `groq_sdk.py <simulator url>`."""

import json
import sys
import urllib.error
import urllib.request

import groq

URL = sys.argv[1].rstrip("/")
MODEL = "openai/gpt-oss-20b"
ORDER = 'Rewrite as an image prompt. Answer JSON {"prompt":str}.'
checks = 0


def check(got, wanted):
    global checks  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
    checks += 1


def client(key="gsk_emu"):
    return groq.Groq(api_key=key, base_url=f"{URL}/groq", max_retries=0, timeout=20)


def admin(path):
    with urllib.request.urlopen(f"{URL}/__emu/{path}", timeout=10) as answer:
        return json.load(answer)


def ask(words, model=MODEL, by=None, **fields):
    messages = [{"role": "system", "content": ORDER}, {"role": "user", "content": words}]
    return (by or client()).chat.completions.create(model=model, messages=messages, **fields)


def fails(kind, code, act):
    try:
        act()
    except groq.APIStatusError as error:
        check((type(error), error.body["error"].get("code")), (kind, code))
        return error
    raise AssertionError(f"no {kind.__name__}")


# Chat, as text, as JSON and in pieces.
form = {"type": "json_object"}
answer = ask(
    "a fox", max_completion_tokens=600, temperature=0.7, reasoning_effort="low", response_format=form
)
check(json.loads(answer.choices[0].message.content)["prompt"].startswith("a fox, "), True)
check((answer.choices[0].finish_reason, answer.model), ("stop", MODEL))
check(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
check(ask("a fox").choices[0].message.content.startswith("a fox, "), True)
pieces = [chunk.choices[0].delta.content or "" for chunk in ask("a fox", stream=True)]
check("".join(pieces), ask("a fox").choices[0].message.content)
check(ask("[[groq:think]] a fox").choices[0].message.content.startswith("<think>"), True)
check(ask("a fox", max_completion_tokens=3).choices[0].finish_reason, "length")
empty = ask("[[emu:empty_success]]").choices[0]
check((empty.message.content, empty.finish_reason), ("", "length"))
check(ask("[[emu:refused]]").choices[0].message.content.startswith("I'm sorry"), True)

# Errors, each in Groq's words.
fails(groq.AuthenticationError, "invalid_api_key", lambda: ask("a fox", by=client("gsk_wrong")))
fails(groq.PermissionDeniedError, None, lambda: ask("a fox", by=client("gsk_emu-forbidden")))
fails(groq.BadRequestError, "blocked_api_access", lambda: ask("a fox", by=client("gsk_emu-nocredit")))
limited = fails(
    groq.RateLimitError, "rate_limit_exceeded", lambda: ask("a fox", by=client("gsk_emu-limited"))
)
check(limited.response.headers["retry-after"], "1")
fails(groq.BadRequestError, "model_decommissioned", lambda: ask("a fox", "llama-3.3-70b-versatile"))
fails(groq.NotFoundError, "model_not_found", lambda: ask("a fox", "x"))
fails(groq.BadRequestError, "json_validate_failed", lambda: ask("[[groq:json_validate_failed]]"))
fails(groq.APIStatusError, "capacity_exceeded", lambda: ask("[[groq:capacity_498]]"))
fails(groq.APIStatusError, None, lambda: ask("[[groq:too_large]]"))
fails(groq.BadRequestError, None, lambda: ask("a fox", n=2))
fails(groq.BadRequestError, None, lambda: ask("a fox", extra_body={"no_such_field": 1}))
fails(groq.InternalServerError, None, lambda: ask("[[emu:error_before]]"))

# Models, and that nothing here draws.
check(client().models.list().data[0].id, MODEL)
check(hasattr(client(), "images"), False)
wish = urllib.request.Request(
    f"{URL}/groq/openai/v1/images/generations", b"{}", {"Authorization": "Bearer gsk_emu"}
)
try:
    urllib.request.urlopen(wish, timeout=10)
    raise AssertionError("groq drew something")
except urllib.error.HTTPError as error:
    check((error.code, json.load(error)["error"]["code"]), (404, "unknown_url"))
check(admin("bill?vendor=groq")["vendors"]["groq"]["images"], 0)

print(f"ok: {checks} checks")  # noqa: T201 - what whoever runs it reads
