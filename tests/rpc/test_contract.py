"""The gRPC contract, line by line, over a real server and the generated stubs."""

import re
import uuid

import pytest
from google.protobuf.descriptor import FieldDescriptor

from limner.core.errors import NoRoute, OverBudget
from limner.core.job import Failure
from limner.core.request import MAX_PROMPT
from limner.rpc import starweave_pb2 as messages
from limner.rpc.asked import DEFAULT_MODEL, MAX_SEED
from tests.api.fakes import NOW, png

FIELDS = {
    "ImageRequest": "1 prompt string|2 model string|3 settings ImageSettings|4 user_id string"
    "|5 context repeated string",
    "ImageSettings": "1 width int32|2 height int32|3 steps int32|4 guidance_scale float|5 seed int32"
    "|6 style string",
    "ImageResponse": "1 request_id string|2 image_data bytes|3 format string"
    "|4 metadata GenerationMetadata|5 error string",
    "GenerationMetadata": "1 model string|2 generation_time_ms int64|3 seed int32"
    "|4 generated_at google.protobuf.Timestamp|5 debug_info map<string, string>",
    "ImageVariationsRequest": "1 base_request ImageRequest|2 num_variations int32|3 variation_strength float",
    "ModelRequest": "",
    "ModelResponse": "1 models repeated ModelResponse.ModelInfo",
    "ModelResponse.ModelInfo": "1 id string|2 name string|3 description string"
    "|4 capabilities repeated string|5 parameters map<string, string>",
}
NAMES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_FLOAT: "float",
}
DEBUG = {
    "width",
    "height",
    "steps",
    "guidance_scale",
    "seed",
    "model",
    "device",
    "dtype",
    "generation_time_ms",
}


def wish(prompt="a red fox", **settings):
    given = messages.ImageSettings(**settings) if settings else None
    return messages.ImageRequest(prompt=prompt, settings=given)


def kind(field):
    if field.message_type is None:
        return ("repeated " if field.is_repeated else "") + NAMES[field.type]
    if field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return f"map<{kind(key)}, {kind(value)}>"
    name = field.message_type.full_name.removeprefix("starweave.")
    return ("repeated " if field.is_repeated else "") + name


def message(name):
    outer, _, inner = name.partition(".")
    found = messages.DESCRIPTOR.message_types_by_name[outer]
    return found.nested_types_by_name[inner] if inner else found


@pytest.mark.parametrize("name", FIELDS)
def test_messages_have_these_fields_and_numbers(name: str):
    found = message(name).fields
    assert "|".join(f"{one.number} {one.name} {kind(one)}" for one in found) == FIELDS[name]


def test_package_service_and_methods_are_called_this():
    service = messages.DESCRIPTOR.services_by_name["ImageGenerationService"]
    assert service.full_name == "starweave.ImageGenerationService"
    assert [(one.name, one.server_streaming, one.client_streaming) for one in service.methods] == [
        ("GenerateImage", False, False),
        ("GenerateImageVariations", True, False),
        ("GetImageModels", False, False),
    ]


def test_the_other_service_of_the_package_keeps_its_names():
    theirs = {"Pattern", "PatternRequest", "PatternResponse", "StatusRequest", "StatusResponse"}
    assert theirs.isdisjoint(messages.DESCRIPTOR.message_types_by_name)


async def test_a_picture_comes_with_all_its_fields(stub):
    answer = await stub.GenerateImage(wish(width=128, height=136, steps=7, guidance_scale=7.3, seed=9))
    assert answer.error == ""
    assert answer.image_data == png(128, 136, 9)
    assert answer.format == "image/png"
    assert answer.HasField("metadata")
    assert (answer.metadata.model, answer.metadata.seed) == ("house", 9)
    assert answer.metadata.generation_time_ms == 1000
    assert answer.metadata.generated_at.ToSeconds() == NOW
    told = dict(answer.metadata.debug_info)
    assert told.keys() >= DEBUG
    assert (told["width"], told["height"], told["steps"], told["guidance_scale"]) == (
        "128",
        "136",
        "7",
        "7.3",
    )
    assert (told["seed"], told["model"], told["generation_time_ms"]) == ("9", "house", "1000")


async def test_the_request_id_is_a_uuid_also_of_a_refusal(stub):
    assert uuid.UUID((await stub.GenerateImage(wish(""))).request_id).version == 4


async def test_a_prompt_alone_is_enough_and_means_the_default_model(limner, stub):
    assert (await stub.GenerateImage(wish())).error == ""
    order = limner.orders[0]
    assert (order.model, order.size, order.steps, order.guidance_scale, order.seed) == (
        "runwayml/stable-diffusion-v1-5",
        (512, 512),
        25,
        7.5,
        None,
    )


async def test_what_is_0_or_unset_among_the_settings_means_its_default(limner, stub):
    assert (await stub.GenerateImage(wish(width=256, seed=1))).error == ""
    order = limner.orders[0]
    assert (order.size, order.steps, order.guidance_scale, order.seed) == ((256, 512), 25, 7.5, 1)


async def test_seed_0_is_the_seed_0(limner, stub):
    answer = await stub.GenerateImage(wish(width=256))
    assert (limner.orders[0].seed, answer.metadata.seed) == (0, 0)


async def test_seed_minus_1_is_random(limner, stub):
    await stub.GenerateImage(wish(seed=-1))
    assert limner.orders[0].seed is None


async def test_the_largest_int32_is_a_seed(limner, stub):
    assert (await stub.GenerateImage(wish(seed=MAX_SEED))).metadata.seed == MAX_SEED


REFUSED = {
    "a width too small": (wish(width=127), "Width must be between 128 and 1024"),
    "a width too large": (wish(width=1025), "Width must be between 128 and 1024"),
    "a negative width": (wish(width=-512), "Width must be between 128 and 1024"),
    "a height too large": (wish(height=2048), "Height must be between 128 and 1024"),
    "too many steps": (wish(steps=101), "Steps must be between 1 and 100"),
    "negative steps": (wish(steps=-1), "Steps must be between 1 and 100"),
    "too little guidance": (wish(guidance_scale=0.5), "Guidance scale must be between 1.0 and 20.0"),
    "too much guidance": (wish(guidance_scale=20.1), "Guidance scale must be between 1.0 and 20.0"),
    "guidance that is no number": (
        wish(guidance_scale=float("nan")),
        "Guidance scale must be between 1.0 and 20.0",
    ),
    "endless guidance": (
        wish(guidance_scale=float("inf")),
        "Guidance scale must be between 1.0 and 20.0",
    ),
    "a negative seed": (wish(seed=-2), "Seed must be between 0 and 2147483647, or -1 for a random one"),
    "no prompt": (wish(""), "prompt is empty; say what the picture shows"),
    "a prompt without a visible character": (
        wish(" \u200b\n"),
        "prompt is empty; say what the picture shows",
    ),
    "a prompt too long": (
        wish("x" * (MAX_PROMPT + 1)),
        "prompt is 10,001 characters long; at most 10,000 are accepted",
    ),
    "a NUL byte": (wish("a\0b"), "prompt holds a NUL byte at position 1; remove it"),
}


@pytest.mark.parametrize(("asked", "said"), REFUSED.values(), ids=REFUSED)
async def test_a_bad_request_comes_back_with_status_ok_and_a_sentence(limner, stub, asked, said):
    answer = await stub.GenerateImage(asked)
    assert (answer.error, answer.image_data, answer.HasField("metadata")) == (
        f"Invalid request: {said}",
        b"",
        False,
    )
    varied = messages.ImageVariationsRequest(base_request=asked, num_variations=3)
    assert [one.error async for one in stub.GenerateImageVariations(varied)] == [
        f"Invalid base request: {said}"
    ]
    assert limner.orders == []


async def test_the_prompt_may_have_10_000_characters(stub):
    assert (await stub.GenerateImage(wish("x" * MAX_PROMPT))).error == ""


async def test_an_unknown_model_is_not_available(stub):
    answer = await stub.GenerateImage(messages.ImageRequest(prompt="a fox", model="no/such"))
    assert answer.error == "Model no/such is not available or failed to load"


async def test_a_model_that_nobody_can_draw_with_now_is_not_available(limner, stub):
    limner.refuse = NoRoute("local: the engine's files cannot be read")
    assert (
        await stub.GenerateImage(wish())
    ).error == f"Model {DEFAULT_MODEL} is not available or failed to load"


async def test_a_long_model_name_is_not_echoed_whole(stub):
    answer = await stub.GenerateImage(messages.ImageRequest(prompt="a fox", model="m" * 50_000))
    assert len(answer.error) < 300


async def test_other_failures_are_in_band_too(limner, stub):
    limner.refuse = OverBudget("that would be $2 of $1")
    assert (await stub.GenerateImage(wish())).error == "that would be $2 of $1"


async def test_a_job_that_fails_is_a_message_with_its_reason(limner, stub):
    limner.end_as, limner.fail = "failed", Failure(code="refused", message="the vendor declined")
    answer = await stub.GenerateImage(wish())
    assert (answer.error, answer.image_data, answer.HasField("metadata")) == (
        "the vendor declined",
        b"",
        False,
    )


async def test_a_fault_of_ours_is_in_band_and_tells_nothing_of_the_inside(limner, stub):
    limner.mishap = RuntimeError("a secret")
    answer = await stub.GenerateImage(wish())
    assert answer.error == f"Limner failed here; its log tells more under request {answer.request_id}"


async def test_another_model_keeps_its_own_defaults(limner, stub):
    await stub.GenerateImage(messages.ImageRequest(prompt="a fox", model="house"))
    order = limner.orders[0]
    assert (order.size, order.steps, order.guidance_scale) == (None, None, None)


async def test_user_and_style_go_with_the_order_and_an_unknown_style_is_no_error(limner, stub):
    asked = messages.ImageRequest(
        prompt="a fox", user_id="mia", settings=messages.ImageSettings(style="our house style")
    )
    assert (await stub.GenerateImage(asked)).error == ""
    order = limner.orders[0]
    assert (order.user, order.style, order.policy.any_style) == ("mia", "our house style", True)


async def test_a_user_id_too_long_is_named_as_the_client_knows_it(stub):
    answer = await stub.GenerateImage(messages.ImageRequest(prompt="a fox", user_id="u" * 201))
    assert answer.error.startswith("Invalid request: user_id ")


# -- variations ------------------------------------------------------------------------------------------


async def variations(stub, **fields):
    asked = messages.ImageVariationsRequest(**{"base_request": wish(seed=40)} | fields)
    return [one async for one in stub.GenerateImageVariations(asked)]


async def test_each_variation_is_one_message_with_its_own_seed_and_id(stub):
    answers = await variations(stub, num_variations=3, variation_strength=0.25)
    assert [one.error for one in answers] == ["", "", ""]
    assert [one.metadata.seed for one in answers] == [40, 41, 42]
    call = answers[0].request_id.removesuffix("-0")
    assert uuid.UUID(call).version == 4
    assert [one.request_id for one in answers] == [f"{call}-{i}" for i in range(3)]
    told = [dict(one.metadata.debug_info) for one in answers]
    assert [one["variation_index"] for one in told] == ["0", "1", "2"]
    assert {one["variation_strength"] for one in told} == {"0.25"}
    assert all(one.keys() >= DEBUG for one in told)


@pytest.mark.parametrize(("asked", "come"), [(0, 1), (1, 1), (4, 4), (9, 4), (-3, 1), (2**31 - 1, 4)])
async def test_how_many_is_brought_into_1_to_4(stub, asked: int, come: int):
    assert len(await variations(stub, num_variations=asked)) == come


@pytest.mark.parametrize(
    ("asked", "told"),
    [(0, "0.50"), (0.8, "0.80"), (7, "1.00"), (-1, "0.00"), (float("inf"), "1.00"), (0.001, "0.00")],
)
async def test_the_strength_is_brought_into_0_to_1(stub, asked: float, told: str):
    (answer,) = await variations(stub, variation_strength=asked)
    assert answer.metadata.debug_info["variation_strength"] == told


async def test_a_strength_that_is_no_number_is_refused(limner, stub):
    (answer,) = await variations(stub, variation_strength=float("nan"))
    assert answer.error == "Invalid base request: Variation strength must be between 0.0 and 1.0"
    assert limner.orders == []


async def test_one_that_fails_is_one_message_and_the_stream_goes_on(limner, stub):
    limner.refuse_seed = 41
    answers = await variations(stub, num_variations=3)
    assert [one.error for one in answers] == ["", "Invalid base request: this seed is refused", ""]
    assert [one.request_id[-2:] for one in answers] == ["-0", "-1", "-2"]


async def test_a_seed_beyond_int32_fails_that_variation_alone(stub):
    answers = await variations(stub, base_request=wish(seed=MAX_SEED), num_variations=2)
    assert [one.error for one in answers] == [
        "",
        "Invalid base request: Seed 2147483647 + 1 is above 2147483647",
    ]


async def test_without_a_base_request_the_prompt_is_missing(stub):
    answers = [one async for one in stub.GenerateImageVariations(messages.ImageVariationsRequest())]
    assert [one.error for one in answers] == [
        "Invalid base request: prompt is empty; say what the picture shows"
    ]


async def test_that_a_strength_changes_nothing_is_said(stub):
    (answer,) = await variations(stub)
    assert "variation_strength: has no effect" in answer.metadata.debug_info["notes"]


# -- models ----------------------------------------------------------------------------------------------


async def test_the_two_models_of_before_are_always_listed_with_who_draws_for_them(stub):
    models = {one.id: one for one in (await stub.GetImageModels(messages.ModelRequest())).models}
    assert list(models) == ["runwayml/stable-diffusion-v1-5", "stabilityai/stable-diffusion-2-1", "house"]
    first, second = list(models.values())[:2]
    assert first.description == "Drawn by local/house"
    assert list(first.capabilities) == ["text-to-image", "image-variation"]
    assert dict(first.parameters) == {
        "width": "integer, 128 to 1024, default 512",
        "height": "integer, 128 to 1024, default 512",
        "steps": "integer, 1 to 100, default 25",
        "guidance_scale": "float, 1.0 to 20.0, default 7.5",
        "seed": "integer, 0 or more; -1 for a random one",
        "supported_sizes": "512x512, 768x768",
        "status": "loaded",
        "memory_usage": "0.00 MB",
        "load_count": "1",
        "error_count": "0",
    }
    assert re.search("default 768", second.parameters["width"])
    assert second.parameters["supported_sizes"] == "768x768, 512x512"


async def test_a_status_of_trouble_is_cut_at_100_characters(limner, stub):
    limner.reason = "the engine does not start: " + "x" * 500
    for model in (await stub.GetImageModels(messages.ModelRequest())).models:
        assert model.parameters["status"].startswith("error: the engine does not start")
        assert len(model.parameters["status"]) == 100
        assert model.parameters["load_count"] == "0"


async def test_they_are_listed_also_when_nothing_draws_them(limner, stub):
    limner.refuse = NoRoute("no provider is set up")
    models = (await stub.GetImageModels(messages.ModelRequest())).models
    assert [one.parameters["status"] for one in models[:2]] == ["error: no provider is set up"] * 2
