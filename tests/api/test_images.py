import base64
import json

import orjson
import pytest

from limner.api.images import ImagesBody
from limner.core.errors import (
    Conflict,
    Exhausted,
    InvalidRequest,
    NoRoute,
    OverBudget,
    OverLimit,
    RateLimited,
    StorageError,
    Unavailable,
)
from limner.core.job import Confirmation, Failure
from limner.core.quote import Note
from limner.core.request import GenerateRequest
from tests.api.fakes import PREVIEWS, png

URL = "/v1/images/generations"


def events(text: str) -> list[tuple[str, dict]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    return [(head.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for head, data in blocks]


async def test_a_prompt_alone_gives_openais_body_with_base64_and_nothing_else(http, limner):
    answer = await http.post(URL, json={"prompt": "a red fox"})
    assert answer.status_code == 200
    assert answer.json() == {
        "created": 1_795_132_801,
        "data": [{"b64_json": base64.b64encode(png(256, 256, 0)).decode()}],
        "background": "opaque",
        "output_format": "png",
        "size": "256x256",
    }
    assert limner.orders == [GenerateRequest(prompt="a red fox")]


async def test_every_field_reaches_the_order_in_limners_words(http, limner):
    answer = await http.post(
        URL,
        json={
            "prompt": "a red fox",
            "model": "gpt-image-1",
            "n": 2,
            "size": "128x64",
            "quality": "high",
            "output_format": "webp",
            "output_compression": 80,
            "background": "opaque",
            "response_format": "b64_json",
            "seed": 7,
            "style": "watercolor",
            "moderation": "low",
            "user": "u-1",
        },
    )
    assert limner.orders == [
        GenerateRequest(
            prompt="a red fox",
            model="gpt-image-1",
            count=2,
            width=128,
            height=64,
            quality="quality",
            format="webp",
            compression=80,
            seed=7,
            style="watercolor",
            user="u-1",
        )
    ]
    body = answer.json()
    assert [item.keys() for item in body["data"]] == [{"b64_json"}, {"b64_json"}]
    assert (body["size"], body["quality"], body["output_format"]) == ("128x64", "high", "webp")


async def test_facts_ride_in_headers(http, limner):
    limner.notes = (Note(field="size", message="bent to 256 \u00d7 256 \U0001f4a1"),)
    answer = await http.post(
        URL, json={"prompt": "a red fox", "seed": 7, "n": 1, "tier": "x", "nön\r\nsense": 1}
    )
    told = {name: value for name, value in answer.headers.items() if name.startswith("x-limner")}
    notes = told.pop("x-limner-notes")
    assert told == {
        "x-limner-job": "job-0001",
        "x-limner-provider": "local",
        "x-limner-model": "house",
        "x-limner-cost-usd": "0.0040",
        "x-limner-attempts": "1",
        "x-limner-seed": "7",
        "x-limner-ignored": "tier, ?",
    }
    assert notes.isascii()
    assert json.loads(notes) == [{"field": "size", "message": "bent to 256 \u00d7 256 \U0001f4a1"}]


async def test_long_notes_are_cut_to_whole_ones_that_fit_a_header(http, limner):
    limner.notes = tuple(Note(field="prompt", message=f"{i}: {'ß' * 500}") for i in range(40))
    answer = await http.post(URL, json={"prompt": "a red fox"})
    notes = answer.headers["x-limner-notes"]
    assert len(notes) <= 2_000
    assert [note["message"][:3] for note in json.loads(notes)] == ["0: "]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "b64_json"),
        ({"model": "gpt-image-1"}, "b64_json"),
        ({"model": "dall-e-2"}, "url"),
        ({"model": "dall-e-3"}, "url"),
        ({"model": "dall-e-3", "response_format": "b64_json"}, "b64_json"),
        ({"model": "house", "response_format": "url"}, "url"),
    ],
)
async def test_each_item_holds_the_bytes_or_the_address_and_never_both(http, body, key):
    answer = await http.post(URL, json={"prompt": "a red fox", **body})
    assert [list(item) for item in answer.json()["data"]] == [[key]]


async def test_a_given_address_serves_the_picture_and_opens_no_file_before(http, limner):
    answer = await http.post(URL, json={"prompt": "a red fox", "response_format": "url"})
    assert limner.opened == 0
    address = answer.json()["data"][0]["url"]
    assert address == "http://limner.test/storage/images/default/local/job-0001-0.png"
    picture = await http.get(address)
    assert (picture.status_code, picture.content) == (200, png(256, 256, 0))


@pytest.mark.parametrize(
    ("word", "preset", "told"),
    [
        ("auto", None, None),
        ("low", "fast", "low"),
        ("medium", "standard", "medium"),
        ("high", "quality", "high"),
        ("xhigh", "ultra", "xhigh"),
        ("max", "ultra", "xhigh"),
        ("standard", "standard", "medium"),
        ("hd", "quality", "high"),
        ("fast", "fast", "low"),
        ("quality", "quality", "high"),
        ("ultra", "ultra", "xhigh"),
    ],
)
async def test_openais_and_limners_words_for_quality_are_one_preset(http, limner, word, preset, told):
    answer = await http.post(URL, json={"prompt": "a red fox", "quality": word})
    assert limner.orders[0].quality == preset
    assert answer.json().get("quality") == told


async def test_null_is_as_good_as_absent(http, limner):
    names = [name for name in ImagesBody.model_fields if name != "prompt"]
    answer = await http.post(URL, json={"prompt": "a red fox"} | dict.fromkeys(names))
    assert answer.status_code == 200
    assert limner.orders == [GenerateRequest(prompt="a red fox")]


async def test_dall_es_style_words_change_nothing_and_that_is_told(http, limner):
    answer = await http.post(URL, json={"prompt": "a red fox", "style": "vivid"})
    assert limner.orders[0].style is None
    assert answer.headers["x-limner-ignored"] == "style"


async def test_the_same_key_gives_the_first_job_and_another_body_is_409(http, limner):
    headers = {"Idempotency-Key": "k-1"}
    first = await http.post(URL, json={"prompt": "a red fox"}, headers=headers)
    second = await http.post(URL, json={"prompt": "a red fox"}, headers=headers)
    third = await http.post(URL, json={"prompt": "a blue fox"}, headers=headers)
    assert (first.content, first.headers["x-limner-job"]) == (second.content, second.headers["x-limner-job"])
    assert len(limner.orders) == 1
    assert (third.status_code, third.headers["x-should-retry"]) == (409, "false")
    assert third.json() == {
        "error": {
            "message": "Idempotency-Key 'k-1' was used before with another request",
            "type": "invalid_request_error",
            "param": None,
            "code": "idempotency_conflict",
        }
    }


async def test_an_unknown_model_is_openais_404(http):
    answer = await http.post(URL, json={"prompt": "a red fox", "model": "m" * 190})
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": f"unknown model {'m' * 80!r}; known: house",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidRequest("too big", "width"), (400, "invalid_request_error", "invalid_value", "size")),
        (
            InvalidRequest("not with house", "model"),
            (404, "invalid_request_error", "model_not_found", "model"),
        ),
        (NoRoute("no key", {"easel/x": "no key"}), (503, "service_unavailable_error", "no_route", None)),
        (OverBudget("too dear"), (402, "insufficient_quota", "over_budget", None)),
        (Conflict("other body"), (409, "invalid_request_error", "idempotency_conflict", None)),
        (OverLimit("slow down", 7), (429, "requests", "rate_limit_exceeded", None)),
        (RateLimited("slow down", 7), (429, "requests", "rate_limit_exceeded", None)),
        (Unavailable("down"), (503, "service_unavailable_error", "unavailable", None)),
        (Exhausted("all down"), (503, "service_unavailable_error", "exhausted", None)),
        (StorageError("disk full"), (507, "server_error", "storage", None)),
    ],
)
async def test_each_refusal_has_its_status_and_words(http, limner, error, told):
    limner.refuse = error
    answer = await http.post(URL, json={"prompt": "a red fox", "model": "nobody"})
    body = answer.json()["error"]
    assert (answer.status_code, body["type"], body["code"], body["param"]) == told
    assert answer.headers.get("retry-after") == ("7" if answer.status_code == 429 else None)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ("refused", (400, "moderation_blocked", None)),
        ("rejected", (400, "rejected", None)),
        ("rate_limited", (429, "rate_limit_exceeded", "true")),
        ("unauthorized", (502, "upstream_unauthorized", "false")),
        ("malformed", (502, "upstream_malformed", "false")),
        ("lost", (502, "upstream_lost", "false")),
        ("unavailable", (503, "unavailable", "true")),
        ("exhausted", (503, "exhausted", "false")),
        ("timed_out", (504, "timed_out", "false")),
        ("unknown", (504, "outcome_unknown", "false")),
        ("storage", (507, "storage", "false")),
        ("a word nobody has described", (500, "internal_error", "false")),
    ],
)
async def test_a_job_that_failed_answers_by_its_failures_code(http, limner, failure, told):
    limner.fail, limner.end_as = Failure(code=failure, message="it went wrong"), "failed"
    answer = await http.post(URL, json={"prompt": "a red fox"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], answer.headers.get("x-should-retry")) == told
    assert error["message"] == "it went wrong"
    assert answer.headers["x-limner-job"] == "job-0001"


async def test_a_cancelled_job_is_409(http, limner):
    limner.end_as = "canceled"
    answer = await http.post(URL, json={"prompt": "a red fox"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "canceled")


DEARER = Confirmation(
    reason="dearer", message="nobody draws it for $0.04.", choices=("accept", "cancel"), target="easel/m"
)
LOST = Confirmation(
    reason="unknown", message="the answer is lost.", choices=("pay_again", "write_off", "delivered")
)


@pytest.mark.parametrize(
    ("asks", "told", "said"),
    [
        (
            DEARER,
            (402, "needs_confirmation"),
            "nobody draws it for $0.04. Decide at POST /v1/jobs/job-0001/decide: accept or cancel.",
        ),
        (
            LOST,
            (504, "outcome_unknown"),
            (
                "the answer is lost. Decide at POST /v1/jobs/job-0001/decide: "
                "pay_again or write_off or delivered."
            ),
        ),
    ],
)
async def test_a_job_that_asks_is_an_error_that_says_what_can_be_said(http, limner, asks, told, said):
    limner.end_as, limner.asks = "needs_confirmation", asks
    answer = await http.post(URL, json={"prompt": "a red fox"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["message"]) == (*told, said)
    assert answer.headers["x-limner-job"] == "job-0001"
    assert answer.headers.get("x-should-retry") in (None, "false")
    stream = await http.post(URL, json={"prompt": "a red fox", "stream": True})
    ((name, event),) = events(stream.text)
    assert (stream.headers["x-limner-job"], name, event["error"]["code"]) == ("job-0002", "error", told[1])
    assert event["error"]["message"] == said.replace("0001", "0002")


async def test_a_stream_shows_as_many_previews_as_asked_and_then_the_picture(http, limner):
    answer = await http.post(
        URL,
        json={"prompt": "a red fox", "stream": True, "partial_images": 2, "size": "64x64", "quality": "low"},
    )
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-limner-job"] == "job-0001"
    assert limner.orders[0].partial_images == 2
    told = events(answer.text)
    shown = {"size": "64x64", "quality": "low", "background": "opaque", "output_format": "png"}
    created = [fields.pop("created_at") for _, fields in told]
    assert created[-1] == 1_795_132_801
    assert told == [
        (
            "image_generation.partial_image",
            {
                "type": "image_generation.partial_image",
                "b64_json": base64.b64encode(PREVIEWS[1]).decode(),
                "partial_image_index": 0,
            }
            | shown,
        ),
        (
            "image_generation.partial_image",
            {
                "type": "image_generation.partial_image",
                "b64_json": base64.b64encode(PREVIEWS[2]).decode(),
                "partial_image_index": 1,
            }
            | shown,
        ),
        (
            "image_generation.completed",
            {
                "type": "image_generation.completed",
                "b64_json": base64.b64encode(png(64, 64, 0)).decode(),
                "usage": {
                    "input_tokens": 0,
                    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
                    "output_tokens": 0,
                    "total_tokens": 0,
                },
            }
            | shown,
        ),
    ]


async def test_a_stream_of_several_pictures_completes_once_for_each(http):
    answer = await http.post(URL, json={"prompt": "a red fox", "stream": True, "n": 3})
    assert [name for name, _ in events(answer.text)] == ["image_generation.completed"] * 3


async def test_what_is_refused_before_the_stream_begins_has_its_own_status(http, limner):
    limner.refuse = OverBudget("too dear")
    answer = await http.post(URL, json={"prompt": "a red fox", "stream": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "over_budget")


async def test_a_job_that_fails_in_a_stream_ends_it_with_an_error_event(http, limner):
    limner.fail, limner.end_as = Failure(code="refused", message="declined"), "failed"
    answer = await http.post(URL, json={"prompt": "a red fox", "stream": True})
    assert events(answer.text) == [
        (
            "error",
            {
                "type": "error",
                "error": {
                    "message": "declined",
                    "type": "image_generation_user_error",
                    "param": None,
                    "code": "moderation_blocked",
                },
            },
        )
    ]


async def test_a_watch_that_breaks_ends_the_stream_with_an_error_event(http, limner):
    limner.breaks = StorageError("the database is gone")
    answer = await http.post(URL, json={"prompt": "a red fox", "stream": True})
    assert [(name, body["error"]["code"]) for name, body in events(answer.text)] == [("error", "storage")]


async def test_the_picture_is_spliced_in_whole(http):
    answer = await http.post(URL, json={"prompt": "a red fox", "size": "512x512"})
    assert base64.b64decode(orjson.loads(answer.content)["data"][0]["b64_json"]) == png(512, 512, 0)


async def test_transparency_is_ordered_where_all_who_may_draw_can(http, limner):
    limner.options = {"background": {"type": "string", "enum": ["opaque", "transparent"]}}
    wish = {"prompt": "a red fox", "background": "transparent"}
    answer = await http.post(URL, json=wish)
    assert limner.orders == [GenerateRequest(prompt="a red fox", options={"background": "transparent"})]
    assert answer.json()["background"] == "transparent"
    stream = await http.post(URL, json=wish | {"stream": True})
    assert [body["background"] for _, body in events(stream.text)] == ["transparent"]


@pytest.mark.parametrize(
    ("options", "fields", "said"),
    [
        ({}, {}, "local/house draws no transparency"),
        ({"background": {"type": "string"}}, {}, "local/house draws no transparency"),
        (
            {"background": {"enum": ["transparent"]}},
            {"output_format": "jpeg"},
            "a JPEG cannot be transparent",
        ),
    ],
)
async def test_transparency_that_would_not_come_is_refused(http, limner, options, fields, said):
    limner.options = options
    answer = await http.post(URL, json={"prompt": "a fox", "background": "transparent"} | fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], said in error["message"]) == (400, "background", True)
    assert limner.orders == []
