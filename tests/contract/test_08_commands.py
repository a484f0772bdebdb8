"""Contract 8, chat commands: texts as people read them, over a real Limner and scripted vendors.

Lines, presets, enhancement and help are proven in `tests/chat/test_commands.py`; conversations, fallback
from one provider to the next, limits and settings in `tests/chat/test_conversation.py`; what Ollama, Hugging
Face and OpenAI are sent in `tests/providers/`.
"""

import pytest

from limner.chat.commands import ORDER, PRESETS, Taste, order, parse
from limner.chat.events import Drawing, Notice, Picture
from limner.chat.texts import CHECKS, drawing, failed, help_text, image_help, not_found
from limner.chat.ui.panel import PROVIDER, QUALITY, providers, values
from limner.core.errors import Rejected
from tests.chat.house import Scripted
from tests.chat.test_conversation import talking, tried


@pytest.mark.parametrize("name", ["image", "img", "IMAGE", "Img"])
def test_image_and_img_are_the_same_command_in_any_case(name):
    line = parse(f"/{name} a fox")
    assert line.rest == "a fox"
    assert line.name in ("image", "img")


def test_differs_all_the_text_after_the_command_is_the_description_inner_blanks_kept():
    assert (
        parse("/image a serene  farm   landscape at sunrise").rest == "a serene  farm   landscape at sunrise"
    )


def test_help_of_image_has_heading_usage_providers_and_example():
    text = image_help(ORDER)
    assert "Image Generation" in text.splitlines()[0]
    assert "`/image <description>`" in text
    assert "`/img <description>`" in text
    assert all(f"- {name}" in text for name in ORDER)
    assert "/image A serene farm landscape at sunrise" in text


def test_while_running_it_says_generating_image_with_description_and_provider():
    text = drawing(Drawing("a red fox", "huggingface"))
    assert "Generating image" in text
    assert "a red fox" in text
    assert "huggingface" in text


async def test_it_is_replaced_as_the_next_provider_is_tried(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        Scripted.fails["ollama"] = Rejected("ollama: no")
        await chat.hear("/image a red fox", tell)
    assert tried(heard)[-2:] == ["ollama_local", "huggingface"]
    assert all("a red fox" in drawing(one) for one in heard if isinstance(one, Drawing))


async def test_done_it_says_image_generated_via_with_the_description_and_one_element(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.hear("/img a red fox in the snow", tell)
    pictures = [one for one in heard if isinstance(one, Picture)]
    assert len(pictures) == 1
    assert pictures[0].name == "generated_image"
    assert "Image Generated via ollama_local" in pictures[0].text
    assert "a red fox in the snow" in pictures[0].text


def test_all_failed_it_says_so_with_one_line_per_provider_on_what_to_check():
    heading, _, *lines = failed({}).splitlines()
    assert "Image generation failed" in heading
    assert [line.split(":")[0] for line in lines] == [f"- {name}" for name in ORDER]
    said = {name: CHECKS[name] for name in ORDER}
    assert "11434" in said["ollama_local"]
    for name, key in (
        ("groq", "GROQ_API_KEY"),
        ("huggingface", "HUGGINGFACE_API_KEY"),
        ("openai", "OPENAI_API_KEY"),
    ):
        assert key in said[name]


async def test_an_unknown_command_says_so_and_points_to_help(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.hear("/paint a fox", tell)
    assert [type(one) for one in heard] == [Notice]
    assert "Command not found: `/paint`" in heard[0].text
    assert "`/help`" in heard[0].text
    assert not_found("x").startswith("Command not found: `/x`")


def test_help_lists_commands_sorted_by_name_with_parameters_in_angle_brackets():
    names = [line.split("`")[1] for line in help_text().splitlines() if line.startswith("- `/")]
    assert names == sorted(names)
    assert {"/help", "/image <description>", "/img <description>"} <= set(names)


def test_the_session_keys_are_image_quality_and_image_provider_with_their_words():
    assert (QUALITY, PROVIDER) == ("image_quality", "image_provider")
    assert values(Taste())["image_quality"] == "standard"
    assert list(PRESETS) == ["fast", "standard", "quality", "ultra"]
    assert [name for name in providers(()) if name in ORDER] == list(ORDER)


@pytest.mark.parametrize(
    ("quality", "size", "steps", "guidance"),
    [
        ("fast", (256, 256), 10, 5.0),
        ("standard", (512, 512), 20, 7.5),
        ("quality", (1024, 1024), 40, 7.5),
        ("ultra", (1024, 1024), 60, 12.0),
    ],
)
def test_a_preset_is_the_tables_size_steps_and_guidance(quality, size, steps, guidance):
    asked = order("a fox", Taste(quality=quality))
    assert (asked.size, asked.steps, asked.guidance_scale) == (size, steps, guidance)
    assert asked.tier is None, "these presets are not the catalogue's tiers"


def test_the_order_of_providers_the_negative_prompt_and_the_enhancement():
    assert ORDER == ("ollama_local", "groq", "huggingface", "openai")
    asked = order("a fox", Taste())
    assert asked.negative_prompt == "blurry, low quality, distorted"
    assert asked.prompt == "a fox, highly detailed, sharp focus"
    assert order("an INTRICATE fox", Taste()).prompt == "an INTRICATE fox"
