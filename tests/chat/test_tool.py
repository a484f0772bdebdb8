"""The tool `generate_image` (contract 5): what it answers, and that it draws and buys nothing."""

import json

import pytest

from limner.chat.tool import GENERATE_IMAGE, generate_image, told
from tests.chat.house import MODELS, Scripted, model, open_house


async def run(limner, **arguments):
    answer = json.loads(told(await generate_image(limner, arguments)))
    assert Scripted.orders == []
    assert await limner.jobs() == []
    return answer


def test_the_arguments_are_the_contracts_and_no_others():
    schema = GENERATE_IMAGE.parameters
    assert list(schema["properties"]) == ["prompt", "quality", "size", "style"]
    assert schema["required"] == ["prompt"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["quality"]["enum"] == ["ultra", "high", "standard", "fast"]
    assert schema["properties"]["size"] == {
        "type": "string",
        "enum": ["256x256", "512x512", "1024x1024", "1792x1024", "1024x1792"],
        "default": "1024x1024",
    }
    assert schema["properties"]["style"] == {
        "type": "string",
        "enum": ["natural", "vivid"],
        "default": "natural",
    }


async def test_the_result_has_every_field_and_is_never_ready(tmp_path):
    async with open_house(tmp_path) as limner:
        answer = await run(limner, prompt="a detailed fox", size="1792x1024", style="vivid")
    assert answer == {
        "provider": "openai",
        "model": "maker/fine",
        "modelKey": "fine",
        "qualityTier": "high",
        "prompt": "a detailed fox",
        "size": "1792x1024",
        "style": "vivid",
        "cost": 0.08,
        "capabilities": ["text-to-image"],
        "ready": False,
        "availableAlternatives": [
            {
                "provider": "together",
                "model": "maker/dear",
                "modelKey": "dear",
                "cost": 0.09,
                "capabilities": ["text-to-image"],
            },
            {
                "provider": "gemini",
                "model": "maker/clear",
                "modelKey": "clear",
                "cost": 0.04,
                "capabilities": ["text-to-image"],
            },
            {
                "provider": "replicate",
                "model": "maker/keen",
                "modelKey": "keen",
                "cost": 0.01,
                "capabilities": ["text-to-image"],
            },
        ],
        "constraints": {
            "maxSize": "1792x1024",
            "supportedSizes": ["1024x1024", "1792x1024"],
            "supportsStyle": False,
        },
        "message": (
            "openai/fine would draw it at 1792x1024: $0.08. Nothing is drawn before the button is pressed. "
            "The model has no styles, so vivid changes nothing."
        ),
    }


async def test_at_most_three_alternatives_are_named(tmp_path):
    more = [model("gemini", f"extra{n}", "high", "0.04", 10 + n) for n in range(5)]
    async with open_house(tmp_path, models=(*MODELS, *more)) as limner:
        answer = await run(limner, prompt="a detailed fox")
    assert len(answer["availableAlternatives"]) == 3


@pytest.mark.parametrize(
    ("prompt", "tier"),
    [
        ("Generate a photorealistic sunset", "ultra"),
        ("an ULTRA detailed, simple fox", "ultra"),
        ("a quick but detailed fox", "high"),
        ("a normal sketch", "standard"),
        ("a quick fox", "fast"),
        ("a fox", "standard"),
        ("breakfast at dawn", "fast"),  # the word occurs in it: as its clients know it
    ],
)
async def test_without_quality_the_first_tier_whose_keyword_occurs_wins_else_standard(tmp_path, prompt, tier):
    async with open_house(tmp_path) as limner:
        answer = await run(limner, prompt=prompt)
    assert answer["qualityTier"] == tier


async def test_a_tier_that_is_said_counts_more_than_the_prompts_words(tmp_path):
    async with open_house(tmp_path) as limner:
        assert (await run(limner, prompt="a quick fox", quality="ultra"))["model"] == "maker/grand"
        assert (await run(limner, prompt="a fox", quality=""))["qualityTier"] == "standard"


async def test_a_size_that_is_not_drawn_is_moved_to_a_supported_one_and_told(tmp_path):
    async with open_house(tmp_path) as limner:
        answer = await run(limner, prompt="a fox", size="256x256")
    assert answer["size"] == "1024x1024"
    assert "256x256 is not drawn there; 1024x1024 is the nearest" in answer["message"]


async def test_the_estimate_goes_by_the_real_size(tmp_path):
    async with open_house(tmp_path) as limner:
        square = await run(limner, prompt="a fox", quality="high", size="1024x1024")
        wide = await run(limner, prompt="a fox", quality="high", size="1792x1024")
    assert (square["cost"], wide["cost"]) == (0.04, 0.08)


async def test_a_tier_without_models_names_the_tiers_there_are(tmp_path):
    models = [one for one in MODELS if one.tier != "ultra"]
    async with open_house(tmp_path, models=models) as limner:
        answer = await run(limner, prompt="a fox", quality="ultra")
    assert answer == {
        "error": "No models available for quality tier: ultra",
        "ready": False,
        "qualityTier": "ultra",
        "availableTiers": ["high", "standard", "fast"],
    }


async def test_a_tier_whose_models_cannot_be_used_names_them_with_reasons_and_a_hint(tmp_path):
    async with open_house(tmp_path, keyed=("replicate",)) as limner:
        answer = await run(limner, prompt="a fox", quality="standard")
    assert answer == {
        "error": "No models available for quality tier: standard",
        "ready": False,
        "qualityTier": "standard",
        "availableTiers": ["high", "fast"],
        "requestedModels": [
            {"provider": "openai", "model": "maker/plain", "reason": "No API key configured for openai"},
            {"provider": "together", "model": "maker/modest", "reason": "No API key configured for together"},
            {"provider": "openai", "model": "maker/secret", "reason": "No API key configured for openai"},
        ],
        "hint": "ask for the quality high or fast",
    }


async def test_without_any_key_the_hint_says_so(tmp_path):
    async with open_house(tmp_path, keyed=()) as limner:
        answer = await run(limner, prompt="a fox")
    assert (answer["availableTiers"], answer["hint"]) == ([], "set a key for one of these providers")


async def test_a_tier_that_nobody_named_moves_to_the_nearest_that_is_served_and_says_so(tmp_path):
    async with open_house(tmp_path, keyed=("replicate",)) as limner:
        answer = await run(limner, prompt="a photorealistic fox")
    assert (answer["qualityTier"], answer["model"]) == ("high", "maker/keen")
    assert "Nobody here draws at the quality ultra; this is high." in answer["message"]


async def test_a_model_whose_price_nobody_knows_is_not_offered(tmp_path):
    async with open_house(tmp_path, models=[model("openai", "secret", "standard", None, 1)]) as limner:
        answer = await run(limner, prompt="a fox")
    assert answer["ready"] is False
    assert "price is unknown" in answer["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt is required"),
        ({"prompt": " \n\u200b"}, "prompt is required"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "a\x00fox"}, "no model can read"),
        ({"prompt": "a fox \ud800"}, "no model can read"),
        ({"prompt": "x" * 10_001}, "at most 10,000"),
        ({"prompt": "a fox", "quality": "best"}, "quality"),
        ({"prompt": "a fox", "size": "1x1"}, "size"),
        ({"prompt": "a fox", "style": "baroque"}, "style"),
        ({"prompt": "a fox", "provider": "openai"}, "provider"),
    ],
)
async def test_arguments_that_cannot_be_meant_are_an_answer_with_a_hint(tmp_path, arguments, said):
    async with open_house(tmp_path) as limner:
        result = await generate_image(limner, arguments)
        assert await limner.jobs() == []
    assert result.ready is False
    assert said in result.error
    assert len(result.error) <= 300
    assert result.hint


@pytest.mark.parametrize("arguments", [None, [], "a fox", 7])
async def test_arguments_that_are_no_object_are_an_answer_too(tmp_path, arguments):
    async with open_house(tmp_path) as limner:
        assert (await generate_image(limner, arguments)).ready is False
