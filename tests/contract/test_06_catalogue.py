"""Contract 6, the provider catalogue, as `GET /chat/models` serves it of the catalog that is shipped.

The shape is proven in `tests/api/test_two_phase.py`; that the price after is the price before in
`tests/chat/test_prices.py` and `tests/api/test_two_phase.py`.
"""

import json

import pytest

from limner.catalog.load import shipped, shipped_listings
from limner.chat.catalogue import catalogue
from limner.chat.names import entry_of

PROVIDER = {"name": str, "type": str, "apiBase": str, "supportsStyles": bool, "models": dict}
MODEL = {
    "id": str,
    "type": str,
    "qualityTier": str,
    "contextWindow": int,
    "supportedSizes": list,
    "pricing": dict,
    "capabilities": list,
    "fallbackPriority": int,
    "available": bool,
    "deprecated": bool,
}
TABLE = {
    ("openai", "dall-e-3"): ("dall-e-3", "high", 1),
    ("openai", "dall-e-2"): ("dall-e-2", "standard", 2),
    ("together", "stable-diffusion-xl"): ("stabilityai/stable-diffusion-xl-base-1.0", "standard", 1),
    ("together", "stable-diffusion-2-1"): ("stabilityai/stable-diffusion-2-1", "fast", 2),
    ("together", "playground-v2-5"): ("playgroundai/playground-v2.5-1024px-aesthetic", "high", 3),
    ("replicate", "sdxl"): ("stability-ai/sdxl:latest", "standard", 2),
    ("replicate", "realistic-vision"): ("saidachmiz/realistic-vision-v5-1:latest", "high", 4),
}
"""Provider and key: id, tier, fallback priority."""
SIZES = {
    ("openai", "dall-e-3"): ["1024x1024", "1792x1024", "1024x1792"],
    ("openai", "dall-e-2"): ["256x256", "512x512", "1024x1024"],
    ("together", "stable-diffusion-xl"): ["1024x1024", "768x768", "512x512"],
    ("together", "stable-diffusion-2-1"): ["768x768", "512x512"],
    ("together", "playground-v2-5"): ["1024x1024", "768x768"],
}
PRICES = {
    ("openai", "dall-e-3"): {"standard_1024": 0.04, "standard_1792": 0.08, "hd_1024": 0.08, "hd_1792": 0.12},
    ("openai", "dall-e-2"): {"256": 0.016, "512": 0.018, "1024": 0.02},
    ("together", "stable-diffusion-xl"): {"default": 0.002},
    ("together", "stable-diffusion-2-1"): {"default": 0.001},
    ("together", "playground-v2-5"): {"default": 0.003},
}
"""Replicate's two are served by the second today: their prices and sizes are the vendor's own of now."""
TIERS = {
    "ultra": (["photorealistic", "ultra", "4k", "professional", "highest quality"], 0.12),
    "high": (["high quality", "detailed", "artistic", "realistic"], 0.04),
    "standard": (["standard", "normal", "regular", "illustration"], 0.002),
    "fast": (["fast", "quick", "draft", "sketch", "simple"], 0.001),
}


@pytest.fixture(scope="module")
def image():
    """The section `image`, of a Limner that has no key."""
    text = catalogue(shipped_listings(), {}, frozenset()).model_dump_json(by_alias=True, exclude_none=True)
    return json.loads(text)["image"]


def models(image, place):
    return image["providers"][place[0]]["models"][place[1]]


def test_the_section_is_image_with_description_providers_and_quality_tiers(image):
    assert set(image) == {"description", "providers", "qualityTiers"}
    assert isinstance(image["description"], str)


def test_every_provider_and_model_has_its_fields_with_their_types(image):
    for name, provider in image["providers"].items():
        assert {one: type(provider[one]) for one in PROVIDER} == PROVIDER, name
        for key, model in provider["models"].items():
            assert {one: type(model[one]) for one in MODEL} == MODEL, (name, key)
            assert model["type"] in ("image", "image-edit")
            assert (model["qualityTier"] in TIERS, model["pricing"]["unit"]) == (True, "per_image")
            assert all(type(one) is str for one in [*model["supportedSizes"], *model["capabilities"]])
            assert isinstance(model.get("supportedQualities", []), list)
            assert isinstance(model.get("styles", []), list)


@pytest.mark.parametrize("place", TABLE, ids="/".join)
def test_a_model_of_the_table_is_there_under_its_key_in_its_tier_with_its_priority(image, place):
    name, tier, priority = TABLE[place]
    found = models(image, place)
    assert (found["qualityTier"], found["fallbackPriority"]) == (tier, priority)
    known = entry_of(shipped(), place[0], name)
    assert known is not None, "the clients' id means it, too"
    assert known.ref == found["id"]


@pytest.mark.parametrize("place", SIZES, ids="/".join)
def test_it_has_the_tables_sizes_and_prices(image, place):
    found = models(image, place)
    assert found["supportedSizes"] == SIZES[place]
    assert {name: found["pricing"][name] for name in PRICES[place]} == PRICES[place]


def test_dall_e_3_reads_4000_characters_and_has_two_styles_and_dall_e_2_reads_1000(image):
    third, second = models(image, ("openai", "dall-e-3")), models(image, ("openai", "dall-e-2"))
    assert (third["contextWindow"], sorted(third["styles"])) == (4000, ["natural", "vivid"])
    assert (second["contextWindow"], "styles" in second) == (1000, False)


def test_an_ultra_entry_exists_dall_e_3_at_hd(image):
    ultra = models(image, ("openai", "dall-e-3-hd"))
    assert (ultra["qualityTier"], ultra["supportedQualities"]) == ("ultra", ["hd"])
    assert (ultra["pricing"]["hd_1024"], ultra["pricing"]["hd_1792"]) == (0.08, 0.12)


def test_what_is_retired_says_so_and_who_draws_in_its_place(image):
    gone = models(image, ("openai", "dall-e-3"))
    assert (gone["deprecated"], gone["available"], "draws in its place" in gone["note"]) == (
        True,
        False,
        True,
    )


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_has_the_tables_keywords_and_typical_cost(image, tier):
    keywords, typical = TIERS[tier]
    found = image["qualityTiers"][tier]
    assert (found["keywords"], found["typicalCost"]) == (keywords, typical)
    assert isinstance(found["description"], str)


@pytest.mark.parametrize("tier", TIERS)
def test_models_that_a_tier_recommends_exist_in_that_tier(image, tier):
    named = [one.split(":", 1) for one in image["qualityTiers"][tier]["recommendedModels"]]
    assert named != []
    assert {models(image, place)["qualityTier"] for place in named} == {tier}
