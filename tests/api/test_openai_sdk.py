"""OpenAI's own Python SDK, unmodified, against a real server."""

import base64
import urllib.request
from collections.abc import Iterator

import openai
import pytest

from limner.core.errors import NoRoute, OverLimit, StorageError
from limner.core.job import Failure
from tests.api.fakes import PREVIEWS, png


@pytest.fixture
def client(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="unused") as client:
        yield client


def test_models_are_listed_and_read(client):
    listed = client.models.list()
    assert [(model.id, model.object, model.owned_by) for model in listed] == [("house", "model", "local")]
    assert client.models.retrieve("house").id == "house"


def test_a_picture_comes_as_base64(client):
    answer = client.images.generate(model="gpt-image-1", prompt="a red fox", size="512x512", quality="low")
    assert [(base64.b64decode(item.b64_json), item.url) for item in answer.data] == [(png(512, 512, 0), None)]
    assert (answer.created, answer.size, answer.quality, answer.output_format, answer.background) == (
        1_795_132_801,
        "512x512",
        "low",
        "png",
        "opaque",
    )
    assert answer.usage is None


def test_a_picture_comes_as_an_address_that_serves_it(client):
    answer = client.images.generate(model="dall-e-3", prompt="a red fox", response_format="url")
    assert answer.data[0].b64_json is None
    with urllib.request.urlopen(answer.data[0].url, timeout=10) as picture:
        assert (picture.headers["content-type"], picture.read()) == ("image/png", png(256, 256, 0))


def test_three_pictures_come_in_one_answer(client):
    answer = client.images.generate(prompt="a red fox", n=3, extra_body={"seed": 5})
    assert [base64.b64decode(item.b64_json) for item in answer.data] == [
        png(256, 256, 5 + i) for i in range(3)
    ]


def test_facts_are_read_from_the_raw_answer(client):
    raw = client.images.with_raw_response.generate(prompt="a red fox")
    assert (raw.headers["x-limner-cost-usd"], raw.headers["x-limner-provider"]) == ("0.0040", "local")
    assert raw.parse().size == "256x256"


def test_a_stream_shows_previews_and_then_the_picture(client):
    stream = client.images.generate(
        model="gpt-image-1", prompt="a red fox", stream=True, partial_images=2, size="256x256"
    )
    told = list(stream)
    assert [(one.type, one.b64_json) for one in told] == [
        ("image_generation.partial_image", base64.b64encode(PREVIEWS[1]).decode()),
        ("image_generation.partial_image", base64.b64encode(PREVIEWS[2]).decode()),
        ("image_generation.completed", base64.b64encode(png(256, 256, 0)).decode()),
    ]
    assert [one.partial_image_index for one in told[:2]] == [0, 1]
    assert told[2].usage.total_tokens == 0


def test_a_stream_that_fails_raises(client, limner):
    limner.fail, limner.end_as = Failure(code="unavailable", message="the engine is gone"), "failed"
    with pytest.raises(openai.APIError, match="the engine is gone"):
        list(client.images.generate(prompt="a red fox", stream=True))


@pytest.mark.parametrize(
    ("wish", "kind", "told"),
    [
        ({"prompt": ""}, openai.BadRequestError, ("prompt", "invalid_value")),
        ({"prompt": "fox", "size": "512"}, openai.BadRequestError, ("size", "invalid_value")),
        ({"prompt": "fox", "n": 11}, openai.BadRequestError, ("n", "invalid_value")),
        (
            {"prompt": "fox", "background": "transparent"},
            openai.BadRequestError,
            ("background", "invalid_value"),
        ),
        ({"prompt": "fox", "model": "nobody"}, openai.NotFoundError, ("model", "model_not_found")),
    ],
)
def test_mistakes_raise_the_sdks_own_errors(client, limner, wish, kind, told):
    with pytest.raises(kind) as caught:
        client.images.generate(**wish)
    assert (caught.value.param, caught.value.code) == told
    assert caught.value.request_id
    assert limner.orders == []


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ("refused", openai.BadRequestError),
        ("unknown", openai.InternalServerError),
        ("timed_out", openai.InternalServerError),
        ("exhausted", openai.InternalServerError),
    ],
)
def test_the_sdk_does_not_order_again_what_failed_or_may_have_been_bought(client, limner, failure, kind):
    limner.fail, limner.end_as = Failure(code=failure, message="it went wrong"), "failed"
    with pytest.raises(kind, match="it went wrong"):
        client.images.generate(prompt="a red fox")
    assert len(limner.orders) == 1


def test_limits_and_a_full_disk_raise_the_sdks_own_errors(server, limner):
    with openai.OpenAI(base_url=f"{server}/v1", api_key="unused", max_retries=0) as client:
        limner.refuse = OverLimit("slow down", 3)
        with pytest.raises(openai.RateLimitError) as caught:
            client.images.generate(prompt="a red fox")
        assert caught.value.response.headers["retry-after"] == "3"
        limner.refuse = StorageError("the disk is full")
        with pytest.raises(openai.InternalServerError, match="the disk is full"):
            client.images.generate(prompt="a red fox")


FOX = ("fox.png", png(64, 64, 10), "image/png")


def test_a_picture_is_edited_and_varied(client, limner):
    edited = client.images.edit(image=[FOX, FOX], mask=FOX, prompt="a hat", model="gpt-image-1")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        varied = client.images.create_variation(image=FOX, response_format="b64_json")
    answers = [edited, varied]
    assert [base64.b64decode(one.data[0].b64_json) for one in answers] == [png(256, 256, 0)] * 2
    assert [(one.operation, len(one.inputs)) for one in limner.orders] == [("inpaint", 2), ("variation", 1)]


def test_a_stream_of_an_edit_ends_with_the_picture(client):
    told = list(client.images.edit(image=FOX, prompt="a hat", stream=True, partial_images=1))
    assert [one.type for one in told] == ["image_edit.partial_image", "image_edit.completed"]


def test_a_judgement_is_read(client):
    judged = client.moderations.create(input="a fox")
    assert (judged.model, judged.results[0].categories.violence) == ("omni-moderation-2024-09-26", True)


def test_where_nobody_judges_the_sdk_raises_and_does_not_ask_again(client, limner):
    limner.refuse = NoRoute("nothing here judges")
    with pytest.raises(openai.InternalServerError, match="nothing here judges"):
        client.moderations.create(input="a fox")
