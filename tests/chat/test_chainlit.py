"""The chat window (contract 8), started for real and used as a browser uses it; the vendors are stand-ins."""

import asyncio
import json
import os
import re
import signal
import socket
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import uvicorn

from limner.api.app import create_app
from limner.app import Limner
from limner.cli.letting_in import QuietServer
from limner.cli.simulate import simulated
from limner.config import Settings
from limner.simulator.app import Simulator
from limner.simulator.faults import Schedule
from tools import chat_env

PATIENCE_S = 120
VENDORS = ("huggingface", "openai")
BROWSER = Path(__file__).with_name("chainlit_browser.py")
COMMANDS = chat_env.commands()
NOBODY = "http://127.0.0.1:9"
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        COMMANDS is None, reason="Chainlit is not installed; python -m tools.chat_env does that"
    ),
]


@asynccontextmanager
async def window(home, **more):
    """`limner chat` on this home: its address and its process."""
    own = {"LIMNER_HOME": str(home), "HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"]}
    with (home / "chat.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(COMMANDS / "limner", "chat", "--headless", "--port", "0"),
            env=own | more,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=home,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                said = (await process.stdout.readline()).decode()
            assert said, (home / "chat.log").read_text()
            yield re.search(r"http://[\d.]+:\d+", said)[0], process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """A window at a Limner that another process runs, and the first picture there: Hugging Face, which comes
    first, has no money left, and is not asked again."""
    home = tmp_path_factory.mktemp("house")
    schedule = Schedule.parse("huggingface:no_money=1")
    async with Simulator(seed=7, schedule=schedule) as simulator:
        settings = simulated(Settings(home=home), simulator)
        accounts = {name: one for name, one in settings.accounts.items() if name in VENDORS}
        settings = settings.model_copy(update={"accounts": accounts, "disabled_providers": ("local",)})
        with socket.create_server(("127.0.0.1", 0)) as listener:
            async with Limner(settings) as limner:
                server = QuietServer(uvicorn.Config(create_app(limner), log_config=None, lifespan="off"))
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                limner.serving(f"http://127.0.0.1:{listener.getsockname()[1]}")
                language = simulator.base("ollama").rstrip("/")
                async with window(home, LIMNER_LANGUAGE_URL=language) as (address, _):
                    first = await acts(address, ("say", "/image a red  fox"))
                    yield address, limner, first[0]
                server.should_exit = True
                await serving


async def acts(address, *acts):
    """What a browser that does all this is shown, for each act."""
    process = await asyncio.create_subprocess_exec(
        *(COMMANDS / "python", BROWSER, address, json.dumps(acts)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def texts(found):
    return [one["text"] for one in found["shown"] if "text" in one]


def buttons(found):
    return [one["button"] for one in found["shown"] if "button" in one]


async def test_help_lists_the_commands_an_unknown_one_points_there_and_image_alone_is_help(house):
    found = await acts(house[0], ("say", "/help"), ("say", "/x"), ("say", "/img"), ("say", "/IMAGE"))
    (commands,), (unknown,), (img,), (image,) = map(texts, found)
    assert [line for line in commands.splitlines() if "/im" in line] == [
        "- `/image <description>`: Draw a picture",
        "- `/images <on or off>`: Pictures on or off",
        "- `/img <description>`: Draw a picture",
    ]
    assert unknown == "Command not found: `/x`. `/help` lists the commands."
    assert img == image
    assert img.startswith("## Image Generation\n\nUsage: `/image <description>` or `/img <description>`")


async def test_the_status_names_each_provider_and_its_price_and_the_picture_takes_its_place(house):
    found = house[2]
    status, following, done = texts(found)
    assert status == "**Generating image**\n\na red fox\n\n*Provider: huggingface, $0.000786*"
    assert following == "**Generating image**\n\na red fox\n\n*Provider: openai, $0.00858*"
    assert done.startswith("**Image Generated via openai**\n\na red fox\n")
    assert [one.get("new") for one in found["shown"] if "text" in one] == [True, False, False]
    assert len({one["of"] for one in found["shown"]}) == 1
    elements = [one for one in found["shown"] if "element" in one]
    assert [(one["element"], one["file"]) for one in elements] == [
        ("generated_image", [200, "image/png", "89504e47"])
    ]
    assert buttons(found) == ["Another one"]


async def test_another_one_draws_the_same_description_again(house):
    before = len(await house[1].jobs())
    _, again = await acts(house[0], ("say", "/img a  blue fox"), ("press", "Another one"))
    assert texts(again)[-1].startswith("**Image Generated via openai**\n\na blue fox\n")
    jobs = await house[1].jobs()
    assert len(jobs) == before + 2
    assert {job.request.prompt for job in jobs[:2]} == {"a  blue fox, highly detailed, sharp focus"}


async def test_above_the_limit_nothing_is_bought_until_the_button_with_the_price_is_pressed(house):
    before = len(await house[1].jobs())
    *_, asked = await acts(house[0], ("say", "/limit 0.001"), ("say", "/image a dear fox"))
    assert len(await house[1].jobs()) == before
    assert texts(asked)[0].startswith("Nobody draws it for $0.001 or less")
    assert buttons(asked)[0] == "Generate Image for $0.0086 (openai/gpt-image-1-mini)"


async def test_a_button_pressed_twice_buys_once_at_its_price(house):
    before = len(await house[1].jobs())
    *_, drawn = await acts(
        house[0],
        ("say", "/limit 0.001"),
        ("say", "/image a dear fox"),
        ("press twice", "Generate Image for $0.0086"),
    )
    assert any(text.startswith("**Image Generated via openai**") for text in texts(drawn))
    assert texts(drawn)[-1].startswith("This button has been used")
    jobs = await house[1].jobs()
    assert len(jobs) == before + 1
    assert jobs[0].receipt.cost_usd <= Decimal("0.00858")


async def test_an_offer_in_words_has_a_button_for_each_who_draws_it_and_draws_once(house):
    before = len(await house[1].jobs())
    offered, drawn = await acts(
        house[0], ("say", "please draw a detailed fox"), ("press twice", "Generate Image for $")
    )
    assert buttons(offered)[0] == "Generate Image for $0.0531"
    (said,) = texts(offered)
    assert said.startswith("openai/gpt-image-2.6-flare would draw it at 1024x1024: $0.05307. ")
    assert texts(drawn)[1].startswith("**Image Generated via openai**")
    assert len(await house[1].jobs()) == before + 1


@pytest.mark.parametrize("name", ["press", "choose"])
@pytest.mark.parametrize("payload", [{}, {"id": "made-up", "cost": 0}, {"id": ["x"]}, {"id": "x" * 10_000}])
async def test_a_button_nobody_was_given_buys_nothing(house, name, payload):
    before = len(await house[1].jobs())
    (found,) = await acts(house[0], ("post", {"name": name, "payload": payload}))
    assert len(texts(found)) == 1
    assert "/image" in texts(found)[0]
    assert len(await house[1].jobs()) == before


async def test_a_question_is_answered_in_words(house):
    (found,) = await acts(house[0], ("say", "what is a fox?"))
    assert texts(found) == ["You said: what is a fox?"]


async def test_the_settings_panel_sets_the_conversation_and_follows_its_commands(house):
    start, changed, odd, off, image, words = await acts(
        house[0],
        ("say", "/settings"),
        ("set", {"image_quality": "ultra", "image_provider": "openai", "prompt_enhancement": False}),
        ("set", {"image_quality": "best", "limit_usd": -1}),
        ("say", "/images off"),
        ("say", "/image a fox"),
        ("say", "what is a fox?"),
    )
    assert start["choices"]["image_quality"] == ["fast", "standard", "quality", "ultra"]
    assert start["choices"]["image_provider"][:5] == ["auto", "ollama_local", "groq", "huggingface", "openai"]
    assert "- quality: ultra (1024x1024, 60 steps, guidance 12)\n- provider: openai\n" in texts(changed)[0]
    assert texts(odd)[0].startswith("quality is one of fast, standard, quality, ultra.\n\nlimit is dollars")
    assert off["panel"] == {
        "image_quality": "ultra",
        "image_provider": "openai",
        "images": False,
        "prompt_enhancement": False,
        "limit_usd": 0.05,
    }
    assert texts(image) == ["Pictures are off; `/images on` switches them on."]
    assert len(texts(words)) == 1
    assert not texts(words)[0].startswith("No language model")


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
    ids=["host", "origin", "null"],
)
async def test_a_page_of_another_site_is_refused(house, headers):
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(house[0]) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"{house[0]}/ws/socket.io/?EIO=4&transport=websocket")


async def test_the_page_may_load_nothing_from_elsewhere(house):
    async with aiohttp.ClientSession() as http, http.get(house[0]) as answer:
        page = await answer.text()
        assert answer.status == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert "<title>Limner</title>" in page


async def test_without_a_server_the_window_brings_its_own_limner_and_leaves_nothing_behind(tmp_path):
    async with window(tmp_path, LIMNER_LANGUAGE_URL=NOBODY) as (address, process):
        (found,) = await acts(address, ("say", "what is a fox?"))
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert texts(found)[0].startswith("No language model answers: ")
    assert texts(found)[0].endswith("Pictures are drawn without it: `/image <description>`.")
    assert [path.name for path in tmp_path.glob("limner-chat-*")] == []
