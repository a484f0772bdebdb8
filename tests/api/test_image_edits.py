"""`POST /v1/images/edits`, `/v1/images/variations`: what reaches the order, and what is refused."""

import base64
import hashlib
import json

import pytest

from limner.core.errors import InvalidRequest
from limner.core.job import Failure
from limner.core.quote import Note
from limner.core.request import GenerateRequest
from tests.api.fakes import PREVIEWS, png
from tests.api.test_images import events

URL = "/v1/images/edits"
FOX, OWL = png(64, 64, 10), png(64, 64, 20)
MASK = png(64, 64, 30)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def file(data, name="a.png", kind="image/png"):
    return (name, data, kind)


def inline(data):
    return {"image_url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}


WORDS = {"prompt": "add a hat"}


# -- forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["image", "image[]"])
async def test_one_picture_and_words_are_an_edit_answered_as_base64(http, limner, name):
    answer = await http.post(URL, data=WORDS, files={name: file(FOX)})
    assert answer.status_code == 200
    assert answer.json() == {
        "created": 1_795_132_801,
        "data": [{"b64_json": base64.b64encode(png(256, 256, 0)).decode()}],
        "background": "opaque",
        "output_format": "png",
        "size": "256x256",
    }
    assert limner.orders == [GenerateRequest(operation="edit", inputs=(digest(FOX),), **WORDS)]
    assert "x-limner-notes" not in answer.headers


@pytest.mark.parametrize("name", ["image", "image[]"])
async def test_several_pictures_keep_their_order(http, limner, name):
    await http.post(URL, data=WORDS, files=[(name, file(one)) for one in (OWL, FOX, MASK)])
    assert limner.orders[0].inputs == (digest(OWL), digest(FOX), digest(MASK))


async def test_a_mask_makes_it_an_inpainting(http, limner):
    await http.post(URL, data=WORDS, files={"image": file(FOX), "mask": file(MASK)})
    assert limner.orders == [
        GenerateRequest(operation="inpaint", inputs=(digest(FOX),), mask=digest(MASK), **WORDS)
    ]


async def test_every_field_travels_as_text_and_reaches_the_order(http, limner):
    fields = {
        "model": "gpt-image-1",
        "n": "2",
        "size": "128x64",
        "quality": "high",
        "output_format": "webp",
        "output_compression": "80",
        "background": "opaque",
        "moderation": "auto",
        "input_fidelity": "auto",
        "seed": "7",
        "user": "u-1",
        "stream": "false",
        "response_format": "url",
    }
    answer = await http.post(URL, data=WORDS | fields, files={"image": file(FOX)})
    assert limner.orders == [
        GenerateRequest(
            operation="edit",
            inputs=(digest(FOX),),
            model="gpt-image-1",
            count=2,
            width=128,
            height=64,
            quality="quality",
            format="webp",
            compression=80,
            seed=7,
            user="u-1",
            **WORDS,
        )
    ]
    assert [list(item) for item in answer.json()["data"]] == [["url"], ["url"]]
    assert "x-limner-ignored" not in answer.headers


async def test_auto_is_accepted_everywhere(http, limner):
    fields = dict.fromkeys(("size", "quality", "background", "moderation", "input_fidelity"), "auto")
    answer = await http.post(URL, data=WORDS | fields, files={"image": file(FOX)})
    assert answer.status_code == 200
    assert limner.orders == [GenerateRequest(operation="edit", inputs=(digest(FOX),), **WORDS)]


async def test_bytes_are_answered_whatever_the_model_unless_addresses_are_asked_for(http):
    answer = await http.post(URL, data=WORDS | {"model": "dall-e-2"}, files={"image": file(FOX)})
    assert [list(item) for item in answer.json()["data"]] == [["b64_json"]]


async def test_what_changes_nothing_is_told(http):
    fields = {"input_fidelity": "high", "fancy": "1"}
    files = {"image": file(FOX), "markup": file(OWL)}
    answer = await http.post(URL, data=WORDS | fields, files=files)
    assert answer.headers["x-limner-ignored"] == "fancy, markup, input_fidelity"


async def test_a_model_that_only_paints_over_does_that_and_says_so(http, limner):
    limner.operations = frozenset({"generate", "image-to-image"})
    limner.notes = (Note(field="size", message="bent"),)
    answer = await http.post(URL, data=WORDS | {"strength": "0.5"}, files={"image": file(FOX)})
    assert limner.orders == [
        GenerateRequest(operation="image-to-image", inputs=(digest(FOX),), strength=0.5, **WORDS)
    ]
    assert json.loads(answer.headers["x-limner-notes"]) == [
        {
            "field": "operation",
            "message": "nobody here edits by words alone; the whole picture is painted over (image-to-image)",
        },
        {"field": "size", "message": "bent"},
    ]


async def test_a_model_that_only_paints_over_takes_one_picture(http, limner):
    limner.operations = frozenset({"image-to-image"})
    answer = await http.post(URL, data=WORDS, files=[("image", file(FOX)), ("image", file(OWL))])
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "image")
    assert error["message"] == "image: image-to-image takes 1 input pictures, not 2"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, (503, "no_route", None)),
        ({"model": "house"}, (400, "invalid_value", "model")),
        ({"model": "nobody"}, (404, "model_not_found", "model")),
    ],
)
async def test_where_nobody_edits_that_is_said_and_no_picture_is_kept(http, limner, fields, told):
    limner.operations = frozenset({"generate"})
    answer = await http.post(URL, data=WORDS | fields, files={"image": file(FOX)})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == told
    assert (limner.kept, limner.orders) == ([], [])


async def test_a_stream_shows_previews_and_the_picture_under_the_edits_names(http, limner):
    fields = WORDS | {"stream": "true", "partial_images": "2"}
    answer = await http.post(URL, data=fields, files={"image": file(FOX)})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert limner.orders[0].partial_images == 2
    assert [
        (name, body["type"], base64.b64decode(body["b64_json"])) for name, body in events(answer.text)
    ] == [
        ("image_edit.partial_image", "image_edit.partial_image", PREVIEWS[1]),
        ("image_edit.partial_image", "image_edit.partial_image", PREVIEWS[2]),
        ("image_edit.completed", "image_edit.completed", png(256, 256, 0)),
    ]


async def test_a_stream_tells_its_notes_before_it_begins(http, limner):
    limner.operations = frozenset({"image-to-image"})
    answer = await http.post(URL, data=WORDS | {"stream": "true"}, files={"image": file(FOX)})
    assert json.loads(answer.headers["x-limner-notes"])[0]["field"] == "operation"


async def test_the_same_key_and_pictures_give_the_first_job_and_others_are_409(http, limner):
    headers = {"Idempotency-Key": "k-1"}
    answers = [
        await http.post(URL, data=WORDS, files={"image": file(one)}, headers=headers)
        for one in (FOX, FOX, OWL)
    ]
    assert [one.status_code for one in answers] == [200, 200, 409]
    assert answers[0].content == answers[1].content
    assert len(limner.orders) == 1


async def test_a_job_that_fails_answers_as_any_other_does(http, limner):
    limner.fail, limner.end_as = Failure(code="refused", message="declined"), "failed"
    answer = await http.post(URL, data=WORDS, files={"image": file(FOX)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "moderation_blocked")


@pytest.mark.parametrize(
    ("fields", "files", "param"),
    [
        ({}, [("image", file(FOX))], "prompt"),
        ({"prompt": ""}, [("image", file(FOX))], "prompt"),
        ({"prompt": "x" * 10_001}, [("image", file(FOX))], "prompt"),
        (WORDS, [("other", file(FOX))], "image"),
        (WORDS, [("mask", file(FOX))], "image"),
        (WORDS, [("image", file(b""))], "image"),
        (WORDS, [("image", file(b"plain text", "a.txt", "text/plain"))], "image"),
        (WORDS, [("image", file(b"<svg onload='x()'/>", "a.svg", "image/svg+xml"))], "image"),
        (WORDS, [("image", file(FOX)), ("mask", file(b"GIF89a"))], "mask"),
        (WORDS, [("image", file(FOX)), ("mask", file(MASK)), ("mask", file(MASK))], "mask"),
        (WORDS, [("image", file(FOX))] * 17, "image"),
        (WORDS | {"image": "base64"}, [("image", file(FOX))], "image"),
        (WORDS | {"mask": "base64"}, [("image", file(FOX))], "mask"),
        (WORDS | {"n": "11"}, [("image", file(FOX))], "n"),
        (WORDS | {"n": "two"}, [("image", file(FOX))], "n"),
        (WORDS | {"n": ""}, [("image", file(FOX))], "n"),
        (WORDS | {"stream": "perhaps"}, [("image", file(FOX))], "stream"),
        (WORDS | {"size": "1x"}, [("image", file(FOX))], "size"),
        (WORDS | {"strength": "nan"}, [("image", file(FOX))], "strength"),
        (WORDS | {"input_fidelity": "max"}, [("image", file(FOX))], "input_fidelity"),
        (WORDS | {"stream": "true", "response_format": "url"}, [("image", file(FOX))], "response_format"),
        (WORDS | {"background": "transparent"}, [("image", file(FOX))], "background"),
    ],
)
async def test_mistakes_are_named_in_openais_shape_and_nothing_is_ordered(http, limner, fields, files, param):
    answer = await http.post(URL, data=fields, files=files)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert len(error["message"]) < 400
    assert limner.orders == []


async def test_a_fault_of_the_order_is_told_by_the_callers_names(http, limner):
    limner.refuse = InvalidRequest("takes at most 1 input pictures", "inputs")
    answer = await http.post(URL, data=WORDS | {"model": "house"}, files={"image": file(FOX)})
    assert answer.json()["error"]["param"] == "image"


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("multipart/form-data", b"x", 400),
        (f"multipart/form-data; boundary={'b' * 10_000}", b"x", 400),
        ("multipart/form-data; boundary=b", b"x", 400),
        ("multipart/mixed; boundary=b", b"x", 415),
        ("text/plain", b"x", 415),
        ("application/x-www-form-urlencoded", b"prompt=fox", 415),
        ("application/json", b"", 400),
        ("application/json", b"[]", 400),
    ],
)
async def test_a_body_that_is_neither_form_nor_json_is_refused(http, kind, content, status):
    answer = await http.post(URL, content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


# -- JSON ------------------------------------------------------------------------------------------------


async def test_pictures_inside_json_are_kept_and_worked_on(http, limner):
    body = WORDS | {"images": [inline(FOX), inline(OWL)], "mask": inline(MASK), "n": 2}
    answer = await http.post(URL, json=body)
    assert answer.status_code == 200
    assert limner.orders == [
        GenerateRequest(
            operation="inpaint",
            inputs=(digest(FOX), digest(OWL)),
            mask=digest(MASK),
            count=2,
            **WORDS,
        )
    ]


async def test_a_picture_that_is_here_is_named_by_its_digest_or_by_the_address_it_was_given(http, limner):
    first = await http.post("/v1/images/generations", json={"prompt": "a fox", "response_format": "url"})
    url = first.json()["data"][0]["url"]
    limner.operations |= {"image-to-image"}
    await http.post(URL, json=WORDS | {"images": [{"image_url": url}, {"file_id": digest(OWL)}]})
    assert limner.orders[1].inputs == (digest(png(256, 256, 0)), digest(OWL))
    assert limner.kept == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "images"),
        ({"images": []}, "image"),
        ({"images": None}, "images"),
        ({"images": "data:image/png;base64,"}, "images"),
        ({"images": ["data:image/png;base64,"]}, "images.0"),
        ({"images": [{}]}, "image"),
        ({"images": [{"image_url": ""}]}, "images.0.image_url"),
        ({"images": [{"image_url": "x" * 20_971_521}]}, "images.0.image_url"),
        ({"images": [{"image_url": "u", "file_id": "0" * 64}]}, "image"),
        ({"images": [{"file_id": "../../etc/passwd"}]}, "images.0.file_id"),
        ({"images": [{"file_id": "file-abc123"}]}, "images.0.file_id"),
        ({"images": [{"image_url": "http://127.0.0.1/a.png"}]}, "image"),
        ({"images": [{"image_url": "http://limner.test/storage/images/a/b/nothing.png"}]}, "image"),
        ({"images": [{"image_url": "http://limner.test/storage/images/../../x"}]}, "image"),
        ({"images": [inline(FOX)], "mask": {"image_url": "file:///etc/passwd"}}, "mask"),
        ({"images": [inline(FOX)] * 17}, "image"),
        ({"images": [inline(b"no picture")]}, "image"),
        ({"images": [inline(FOX)], "n": "2"}, "n"),
    ],
)
async def test_json_that_names_no_pictures_is_refused(http, limner, body, param):
    answer = await http.post(URL, json=WORDS | body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert len(error["message"]) < 400
    assert limner.orders == []


# -- variations ------------------------------------------------------------------------------------------

VARY = "/v1/images/variations"


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, "url"),
        ({"model": "dall-e-2"}, "url"),
        ({"model": "house"}, "b64_json"),
        ({"response_format": "b64_json"}, "b64_json"),
    ],
)
async def test_a_picture_alone_is_a_variation_answered_as_dall_e_2s_door_did(http, limner, fields, key):
    answer = await http.post(VARY, data=fields, files={"image": file(FOX)})
    assert [list(item) for item in answer.json()["data"]] == [[key]]
    assert limner.orders == [
        GenerateRequest(operation="variation", prompt="", inputs=(digest(FOX),), model=fields.get("model"))
    ]


@pytest.mark.parametrize(
    ("operations", "operation", "said"),
    [
        (
            {"edit", "image-to-image"},
            "image-to-image",
            "nobody here draws variations; the picture is painted over",
        ),
        ({"edit"}, "edit", "nobody here draws variations; the picture is edited by words instead"),
    ],
)
async def test_where_nobody_draws_variations_the_nearest_work_is_ordered_and_told(
    http, limner, operations, operation, said
):
    limner.operations = frozenset(operations)
    answer = await http.post(VARY, data={"n": "2", "size": "64x64"}, files={"image": file(FOX)})
    order = limner.orders[0]
    assert (order.operation, order.prompt, order.count) == (operation, "a variation of this picture", 2)
    assert json.loads(answer.headers["x-limner-notes"]) == [
        {"field": "operation", "message": f"{said} ({operation})"}
    ]


async def test_a_variation_ignores_masks_and_streams_and_says_so(http, limner):
    files = {"image": file(FOX), "mask": file(MASK)}
    answer = await http.post(VARY, data={"stream": "true", "odd": "1"}, files=files)
    assert answer.headers["x-limner-ignored"] == "odd, mask, stream"
    assert limner.orders[0].mask is None


@pytest.mark.parametrize(
    ("fields", "files", "param"),
    [
        ({}, [("other", file(FOX))], "image"),
        ({}, [("image", file(FOX)), ("image", file(OWL))], "image"),
        ({"n": "0"}, [("image", file(FOX))], "n"),
        ({"size": "big"}, [("image", file(FOX))], "size"),
        ({}, [("image", file(b"\x89PNG"))], "image"),
    ],
)
async def test_a_variation_of_no_one_picture_is_refused(http, limner, fields, files, param):
    answer = await http.post(VARY, data=fields, files=files)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert limner.orders == []


async def test_a_variation_is_asked_for_by_a_form(http):
    answer = await http.post(VARY, json={"image": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "wrong_content_type")
