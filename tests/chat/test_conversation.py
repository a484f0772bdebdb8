"""A conversation (contract 8): commands, pictures and talk over a real Limner and scripted vendors."""

from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import groupby

import anyio
import pytest

from limner.chat.choices import quoted
from limner.chat.conversation import Conversation
from limner.chat.events import Asking, Began, Drawing, Failed, Notice, Picture, Text, ToolEnded
from limner.core.errors import OverBudget, Refused, Rejected, TimedOut, Unavailable
from tests.chat.house import Scripted, Speaker, calls, model, open_house, says

NAMES = ("ollama", "huggingface", "openai", "local")
MODELS = (
    model("ollama", "klein", "fast", "0", 1),
    model("huggingface", "schnell", "standard", "0.003", 1),
    model("openai", "fine", "high", "0.04", 1),
    model("openai", "dear", "ultra", "0.5", 2),
)


@asynccontextmanager
async def talking(home, *lines, keyed=NAMES, models=MODELS):
    async with open_house(home, keyed=keyed, models=models, names=NAMES) as limner:
        heard = []

        async def tell(event):
            heard.append(event)

        yield Conversation(limner, Speaker(*lines)), tell, heard


def tried(heard):
    """Who was shown to be tried, in order; each is shown before it is asked, and when it is."""
    providers = [one.provider for one in heard if isinstance(one, Drawing)]
    return [one for one, _ in groupby(providers)]


async def test_image_draws_all_the_text_after_it_via_the_first_provider(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.hear("/image a red  fox in the snow", tell)
    assert heard[0] == Drawing("a red  fox in the snow", "ollama_local", Decimal(0))
    assert tried(heard) == ["ollama_local"]
    assert {one.description for one in heard[:-1]} == {"a red  fox in the snow"}
    done = heard[-1]
    assert isinstance(done, Picture)
    assert done.name == "generated_image"
    assert done.text.startswith("**Image Generated via ollama_local**\n\na red fox in the snow\n")
    assert "Drawn as: a red fox in the snow, highly detailed, sharp focus" in done.text
    assert "size: 512x512 is not drawn; 1024x1024 is the nearest" in done.text
    assert done.job.request.prompt == "a red  fox in the snow, highly detailed, sharp focus"


async def test_img_is_the_same_command_and_the_name_is_case_insensitive(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.hear("/IMG a fox", tell)
    assert isinstance(heard[-1], Picture)


async def test_a_failed_provider_is_replaced_by_the_next_and_not_tried_twice(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        Scripted.fails["ollama"] = Unavailable("ollama: refused the connection")
        Scripted.fails["huggingface"] = Rejected("huggingface: no")
        await chat.hear("/image a fox", tell)
    assert tried(heard) == ["ollama_local", "huggingface", "openai"]
    shown = {one.provider: one.price_usd for one in heard if isinstance(one, Drawing)}
    assert shown == {"ollama_local": 0, "huggingface": Decimal("0.003"), "openai": Decimal("0.04")}
    assert [name for name, _ in Scripted.orders] == ["ollama", "huggingface", "openai"]
    assert heard[-1].text.startswith("**Image Generated via openai**")
    assert "$0.04" in heard[-1].text


async def test_when_all_failed_one_line_per_provider_says_what_to_check(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        for name in NAMES:
            Scripted.fails[name] = Rejected(f"{name}: no")
        await chat.hear("/image a fox", tell)
    assert isinstance(heard[-1], Failed)
    assert heard[-1].text.splitlines() == [
        "**Image generation failed**",
        "",
        "- ollama_local: is Ollama running at port 11434, with a model that draws? (ollama: no)",
        "- groq: check GROQ_API_KEY; Groq serves no model that draws at present",
        "- huggingface: check HUGGINGFACE_API_KEY (huggingface: no)",
        "- openai: check OPENAI_API_KEY (openai: no)",
    ]


async def test_without_any_provider_the_same_lines_are_said(tmp_path):
    async with talking(tmp_path, keyed=()) as (chat, tell, heard):
        await chat.hear("/image a fox", tell)
    assert [line.split(":")[0] for line in heard[-1].text.splitlines()[2:]] == [
        "- ollama_local",
        "- groq",
        "- huggingface",
        "- openai",
    ]


def choices(event):
    return [(one.provider, one.model, one.price_usd) for one in event.choices]


async def test_nothing_above_the_persons_limit_is_bought_before_a_button_is_pressed_once(tmp_path):
    async with talking(tmp_path, keyed=("openai",)) as (chat, tell, heard):
        await chat.hear("/limit 0.01", tell)
        await chat.hear("/image a fox", tell)
        assert Scripted.orders == []
        asking = heard[-1]
        assert isinstance(asking, Asking)
        assert choices(asking) == [
            ("openai", "fine", Decimal("0.04")),
            ("openai", "dear", Decimal("0.5")),
        ]
        for _ in range(2):
            await chat.choose(asking.choices[1].identity, tell)
        assert [call.model for _, call in Scripted.orders] == ["maker/dear"]
        assert heard[-2].text.startswith("**Image Generated via openai**")
        assert heard[-1].text.startswith("This button has been used")
        spent = (await chat.limner.jobs())[0].receipt.cost_usd
    assert spent == Decimal("0.5")


async def test_a_button_whose_price_rose_buys_nothing(tmp_path):
    async with talking(tmp_path, keyed=("openai",)) as (chat, tell, heard):
        await chat.hear("/limit 0", tell)
        await chat.hear("/image a fox", tell)
        chosen = chat.choices.take(heard[-1].choices[0].identity)
        cheap = replace(chosen, choice=replace(chosen.choice, price_usd=Decimal("0.01")))
        with pytest.raises(OverBudget):
            await quoted(chat.limner, cheap)
        assert Scripted.orders == []


async def test_a_button_nobody_was_given_orders_nothing(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.choose("../made up", tell)
        assert Scripted.orders == []
    assert [type(one) for one in heard] == [Notice]


async def test_who_else_would_draw_it_is_said_with_the_picture_and_its_price(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.hear("/image a fox", tell)
    assert choices(heard[-1]) == [
        ("huggingface", "schnell", Decimal("0.003")),
        ("openai", "fine", Decimal("0.04")),
        ("openai", "dear", Decimal("0.5")),
    ]


async def test_when_one_failed_the_others_are_offered_and_it_may_be_tried_again(tmp_path):
    async with talking(tmp_path, keyed=("ollama", "openai")) as (chat, tell, heard):
        await chat.hear("/provider ollama_local", tell)
        Scripted.fails["ollama"] = Rejected("ollama: no")
        await chat.hear("/image a fox", tell)
        failed = heard[-1]
        assert isinstance(failed, Failed)
        assert (failed.again, failed.choices[0].provider) == ("a fox", "openai")
        await chat.choose(failed.choices[0].identity, tell)
    assert heard[-1].text.startswith("**Image Generated via openai**")


async def test_a_named_provider_that_is_too_dear_asks_and_no_other_is_meant(tmp_path):
    async with talking(tmp_path, keyed=("ollama", "openai")) as (chat, tell, heard):
        for line in ("/provider openai", "/limit 0.01", "/image a fox"):
            await chat.hear(line, tell)
    assert isinstance(heard[-1], Asking)
    assert {one.provider for one in heard[-1].choices} == {"openai"}


async def test_a_named_provider_that_cannot_draw_leaves_the_others_to_choose(tmp_path):
    async with talking(tmp_path, keyed=("ollama",)) as (chat, tell, heard):
        for line in ("/provider openai", "/image a fox"):
            await chat.hear(line, tell)
        assert isinstance(heard[-1], Failed)
        assert [one.provider for one in heard[-1].choices] == ["ollama_local"]


async def test_within_the_limit_it_is_drawn_at_the_price_that_was_shown_first(tmp_path):
    async with talking(tmp_path, keyed=("openai",)) as (chat, tell, heard):
        await chat.hear("/limit $0.04", tell)
        await chat.hear("/image a fox", tell)
    assert heard[1] == Drawing("a fox", "openai", Decimal("0.04"))
    assert isinstance(heard[-1], Picture)


async def test_a_refused_picture_says_so_and_asks_nobody_else(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        Scripted.fails["ollama"] = Refused("ollama: not that")
        await chat.hear("/image a fox", tell)
    assert heard[-1].text == "**Image generation failed**\n\nollama: not that"
    assert len(Scripted.orders) == 1


async def test_a_lost_order_asks_the_person(tmp_path):
    async with talking(tmp_path, keyed=("openai",)) as (chat, tell, heard):
        Scripted.fails["openai"] = TimedOut("openai: no answer")
        await chat.hear("/image a fox", tell)
    assert heard[-1].job.state == "needs_confirmation"
    assert heard[-1].text.startswith("**Image generation failed**")


@pytest.mark.parametrize("line", ["/image", "/img", "/IMAGE  "])
async def test_without_a_description_there_is_help(tmp_path, line):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.hear(line, tell)
    assert [type(one) for one in heard] == [Notice]
    assert "Image Generation" in heard[0].text


async def test_an_unknown_command_says_so(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.hear("/paint a fox", tell)
    assert heard == [Notice("Command not found: `/paint`. `/help` lists the commands.")]


async def test_settings_are_kept_for_the_conversation(tmp_path):
    async with talking(tmp_path) as (chat, tell, heard):
        for line in ("/quality ULTRA", "/provider openai", "/limit 0.1", "/images on", "/settings"):
            await chat.hear(line, tell)
        await chat.hear("/image a fox", tell)
        assert (chat.taste.quality, chat.taste.provider, chat.taste.limit_usd) == (
            "ultra",
            "openai",
            Decimal("0.1"),
        )
    assert "- quality: ultra (1024x1024, 60 steps, guidance 12)" in heard[4].text
    assert "- limit: $0.10 a picture" in heard[4].text
    assert heard[-1].text.startswith("**Image Generated via openai**")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/quality best", "quality is one of fast, standard, quality, ultra."),
        ("/provider acme", "provider is one of auto, groq, huggingface, ollama_local, openai."),
        ("/images maybe", "images is on or off."),
        ("/limit much", "limit is dollars from 0 to 100, such as 0.05; with 0 all that costs asks."),
        ("/limit NaN", "limit is dollars from 0 to 100, such as 0.05; with 0 all that costs asks."),
        ("/limit -1", "limit is dollars from 0 to 100, such as 0.05; with 0 all that costs asks."),
        ("/limit 1e9", "limit is dollars from 0 to 100, such as 0.05; with 0 all that costs asks."),
    ],
)
async def test_a_setting_that_cannot_be_meant_changes_nothing(tmp_path, line, said):
    async with talking(tmp_path) as (chat, tell, heard):
        before = chat.taste
        await chat.hear(line, tell)
        assert (heard, chat.taste) == ([Notice(said)], before)


async def test_pictures_can_be_switched_off_and_words_go_on(tmp_path):
    async with talking(tmp_path, says("I would, but pictures are off.")) as (chat, tell, heard):
        await chat.hear("/images off", tell)
        await chat.hear("/image a fox", tell)
        assert heard[-1] == Notice("Pictures are off; `/images on` switches them on.")
        await chat.hear("draw a fox", tell)
        assert chat.language.heard[0][1] == ()
    assert Text("I would, but pictures are off.") in heard
    assert Scripted.orders == []


async def test_a_wish_in_words_is_drawn_at_once_where_it_is_free(tmp_path):
    async with talking(tmp_path, keyed=("ollama",)) as (chat, tell, heard):
        await chat.hear("please draw a quick red fox", tell)
        assert chat.language.heard == []
    assert isinstance(heard[-1], Picture)
    assert [name for name, _ in Scripted.orders] == ["ollama"]


async def test_a_wish_in_words_that_costs_is_offered_and_drawn_when_pressed_once(tmp_path):
    async with talking(tmp_path, keyed=("openai",)) as (chat, tell, heard):
        await chat.hear("please draw a detailed fox", tell)
        assert Scripted.orders == []
        offered = next(one for one in heard if isinstance(one, ToolEnded))
        assert offered.offer.cost == Decimal("0.04")
        assert heard == [offered]
        for _ in range(2):
            await chat.press(offered.call.id, offered.offer, tell)
        assert len(Scripted.orders) == 1
    assert isinstance(heard[-1], Picture)


async def test_another_one_draws_the_last_description_again(tmp_path):
    async with talking(tmp_path, keyed=("ollama",)) as (chat, tell, _):
        await chat.hear("/image a red fox", tell)
        await chat.hear("draw it", tell)
        prompts = [call.request.prompt for _, call in Scripted.orders]
    assert prompts == ["a red fox, highly detailed, sharp focus", "a red fox"]


async def test_talk_remembers_what_was_said_in_whole_turns(tmp_path):
    lines = [says(f"answer {n}") for n in range(30)]
    async with talking(tmp_path, *lines) as (chat, tell, heard):
        for n in range(30):
            await chat.hear(f"what about {n}?", tell)
        last = chat.language.heard[-1][0]
    assert (last[1].role, last[-1].content) == ("user", "what about 29?")
    assert len(last) <= 42
    assert Text("answer 29") in heard


async def test_words_without_a_language_model_say_what_still_works(tmp_path):
    async with talking(tmp_path, Unavailable("nobody at 11434"), says("hi")) as (chat, tell, heard):
        await chat.hear("what is a fox?", tell)
        assert isinstance(heard[0], Began)
        assert heard[-1].text == (
            "No language model answers: nobody at 11434. "
            "Pictures are drawn without it: `/image <description>`."
        )
        await chat.hear("hello again", tell)
        assert [one.content for one in chat.language.heard[-1][0][1:]] == ["hello again"]
    assert Text("hi") in heard


async def test_the_words_go_on_when_the_picture_fails(tmp_path):
    lines = ((calls(prompt="a fox", quality="ultra"),), says("Sorry, nobody can."))
    async with talking(tmp_path, *lines, keyed=()) as (chat, tell, heard):
        await chat.hear("what would a fox look like?", tell)
    failed = next(one for one in heard if isinstance(one, ToolEnded))
    assert failed.error == "No models available for quality tier: ultra"
    assert Text("Sorry, nobody can.") in heard


async def test_leaving_stops_the_waiting_and_the_order_goes_on(tmp_path):
    async with talking(tmp_path) as (chat, _tell, _heard):
        with anyio.CancelScope() as scope:
            seen = []

            async def leave(event):
                seen.append(event)
                if len(seen) == 2:  # it is ordered
                    scope.cancel()

            await chat.hear("/image a fox", leave)
        job = (await chat.limner.jobs())[0]
        assert (await chat.limner.wait(job.id)).state == "succeeded"


@pytest.mark.parametrize("text", ["a\x00b", "\ud800 fox", "x" * 20_000])
async def test_a_description_that_no_model_can_read_is_a_failure_that_says_so(tmp_path, text):
    async with talking(tmp_path) as (chat, tell, heard):
        await chat.hear(f"/image {text}", tell)
    assert isinstance(heard[-1], Failed)
    assert heard[-1].text.startswith("**Image generation failed**\n\nThe description cannot be drawn:")
