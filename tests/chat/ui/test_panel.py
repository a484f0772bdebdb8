"""The settings panel of the chat window."""

from decimal import Decimal

import pytest

from limner.chat.commands import Taste
from limner.chat.ui.panel import changes, providers, qualities, values


def test_the_session_keys_are_the_contracts():
    assert values(Taste()) == {
        "image_quality": "standard",
        "image_provider": "auto",
        "images": True,
        "prompt_enhancement": True,
        "limit_usd": 0.05,
    }
    assert [*qualities().values()] == ["fast", "standard", "quality", "ultra"]


def test_the_contracts_providers_come_first_then_whoever_can_be_asked():
    found = providers(["local", "openai", "ollama", "fal"])
    assert found == ["auto", "ollama_local", "groq", "huggingface", "openai", "fal", "local"]


def test_a_panel_that_says_what_is_so_changes_nothing():
    taste = Taste(quality="ultra", provider="openai", pictures=False, limit_usd=Decimal("0.5"))
    assert changes(taste, values(taste)) == []
    assert changes(taste, {}) == []


@pytest.mark.parametrize(
    ("panel", "commands"),
    [
        ({"image_quality": "fast"}, [("quality", "fast")]),
        ({"image_provider": "groq", "images": False}, [("provider", "groq"), ("images", "off")]),
        ({"prompt_enhancement": False}, [("enhance", "off")]),
        ({"limit_usd": 0.1}, [("limit", "0.1")]),
        ({"limit_usd": 0}, [("limit", "0")]),
        ({"limit_usd": 1e-7}, [("limit", "0.0000001")]),
        ({"limit_usd": None}, [("limit", "None")]),
        ({"something": "else"}, []),
    ],
)
def test_a_change_is_a_command(panel, commands):
    assert changes(Taste(), panel) == commands
