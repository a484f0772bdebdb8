"""Slash commands (contract 8): lines, presets, order, and what is ordered by them."""

from decimal import Decimal

import pytest

from limner.chat.commands import COMMANDS, ORDER, PRESETS, Line, Taste, order, parse
from limner.chat.texts import help_text, image_help, not_found
from limner.core.request import Policy


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("/image a red fox", Line("image", "a red fox")),
        ("/img a red fox", Line("img", "a red fox")),
        ("/IMAGE a Red Fox", Line("image", "a Red Fox")),
        ("/image  two  blanks   inside ", Line("image", "two  blanks   inside")),
        ("/image one\ntwo", Line("image", "one\ntwo")),
        ("/image", Line("image", "")),
        ("/image   ", Line("image", "")),
        ("/help", Line("help", "")),
        ("/", Line("", "")),
        ("/ image x", Line("", "image x")),
        ("//image x", Line("/image", "x")),
    ],
)
def test_a_command_is_its_name_in_any_case_and_all_the_text_after_it(text, line):
    assert parse(text) == line


@pytest.mark.parametrize("text", ["image a fox", " /image a fox", "", "a /image", "\n/image x"])
def test_the_first_character_must_be_a_slash(text):
    assert parse(text) is None


def test_the_presets_are_the_contracts():
    assert {name: tuple(values) for name, values in PRESETS.items()} == {
        "fast": (256, 10, 5.0),
        "standard": (512, 20, 7.5),
        "quality": (1024, 40, 7.5),
        "ultra": (1024, 60, 12.0),
    }


def test_the_order_is_the_contracts():
    assert ORDER == ("ollama_local", "groq", "huggingface", "openai")


@pytest.mark.parametrize("quality", ["fast", "standard", "quality", "ultra"])
def test_a_preset_is_ordered_with_its_size_steps_and_guidance(quality):
    request = order("a fox", Taste(quality=quality))
    preset = PRESETS[quality]
    assert (request.width, request.height, request.steps, request.guidance_scale) == (
        preset.side,
        preset.side,
        preset.steps,
        preset.guidance,
    )
    assert request.policy == Policy(prefer="commands", substitutes=True, max_cost_usd=Decimal("0.05"))
    assert request.provider is None


def test_the_default_negative_prompt_is_the_contracts():
    assert order("a fox", Taste()).negative_prompt == "blurry, low quality, distorted"


@pytest.mark.parametrize(
    ("said", "ordered"),
    [
        ("a fox", "a fox, highly detailed, sharp focus"),
        ("a Highly Detailed fox", "a Highly Detailed fox"),
        ("a PROFESSIONAL photo", "a PROFESSIONAL photo"),
        ("sharp focus on a fox", "sharp focus on a fox"),
        ("an intricate clock", "an intricate clock"),
        ("an Award-Winning dish", "an Award-Winning dish"),
    ],
)
def test_a_prompt_is_enhanced_unless_it_has_such_a_word(said, ordered):
    assert order(said, Taste()).prompt == ordered


def test_the_enhancement_can_be_switched_off():
    assert order("a fox", Taste(enhance=False)).prompt == "a fox"


def test_a_provider_is_ordered_from_by_our_name():
    assert order("a fox", Taste(provider="ollama_local")).provider == "ollama"
    assert order("a fox", Taste(provider="openai")).provider == "openai"


def test_help_lists_commands_by_name_with_parameters_in_angle_brackets():
    lines = [line.split("`")[1] for line in help_text().splitlines() if line.startswith("- ")]
    assert lines == [
        "/enhance <on or off>",
        "/help",
        "/image <description>",
        "/images <on or off>",
        "/img <description>",
        "/limit <dollars>",
        "/provider <name or auto>",
        "/quality <quality>",
        "/settings",
    ]
    assert sorted(COMMANDS) == [line.split()[0][1:] for line in lines]


def test_image_without_a_description_shows_help():
    text = image_help(["local", "openai"])
    assert "Image Generation" in text.splitlines()[0]
    assert "Usage: `/image <description>` or `/img <description>`" in text
    listed = [line[2:] for line in text.splitlines() if line.startswith("- ")]
    assert listed == ["ollama_local", "groq", "huggingface", "openai", "local"]
    assert "`/image A serene farm landscape at sunrise`" in text


def test_an_unknown_command_points_to_help_and_cannot_break_out():
    assert not_found("paint") == "Command not found: `/paint`. `/help` lists the commands."
    assert (
        not_found("a`b\n# c" + "x" * 100)
        == f"Command not found: `/a'b # c{'x' * 32}…`. `/help` lists the commands."
    )
