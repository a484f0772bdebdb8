"""Fields of wrong types and ranges, field by field, at every door."""

# ruff: noqa: E501 - a table of many odd things is read by its rows
import json

import pytest

from tests.hostile.doors import DIGEST, DOORS, FOX, PROJECT
from tests.hostile.house import clean, named

HUGE, NEVER = 10**40, "x" * 20_001
COUNTS = (0, -1, 21, 1.5, "two", "2", True, HUGE, [1], {})
SEEDS = (-1, 2**63, HUGE, 1.5, "7", True, [7])
NUMBERS = ("7", True, [7], {}, HUGE)
SIDES = (0, -64, 4_097, 64.5, "64", True, HUGE, [64])
TEXTS = (7, True, [], {}, "a\x00b", "\ud800")
FIELDS: dict[str, dict[str, tuple[object, ...]]] = {
    "/v1/images/generations": {
        "n": (*COUNTS, 11),
        "seed": SEEDS,
        "size": ("0x0", "512", "512x512x3", "\u0665\u0661\u0662x512", "4097x64", "9" * 5_000 + "x1", 512, {}),
        "quality": ("best", 7, {}),
        "output_format": ("gif", "PNG", "svg", 7),
        "output_compression": (-1, 101, "50", 1.5),
        "background": ("green", 7),
        "response_format": ("b64", 7),
        "stream": ("yes", 1, {}),
        "partial_images": (-1, 4, "1", 1.5),
        "moderation": ("off", 7),
        "model": (*TEXTS, "", "m" * 201, "nobody"),
        "style": (*TEXTS, "", "s" * 201),
        "user": ("u" * 201, 7, "a\x00b"),
        "provider": (*TEXTS, "", "p" * 201, "nobody"),
        "prompting": (7, [], "x", {"nobody": 1}, {"template": "../x"}, {"variables": {"a b": "c"}}),
    },
    "/v1/images/edits": {
        "images": (None, 7, {}, "x", [], [7], [{}], [{"file_id": DIGEST}] * 17, [{"nobody": 1}],
                   [{"file_id": "../../etc/passwd"}], [{"file_id": "a\x00b"}], [{"file_id": "F" * 64}],
                   [{"image_url": 7}], [{"image_url": "data:image/png;base64,AAAA", "file_id": DIGEST}]),
        "mask": (7, [], "x", {}, {"file_id": "../x"}, {"file_id": DIGEST}),
        "strength": (-0.1, 1.1, "1", True, HUGE),
        "input_fidelity": ("most", 7),
    },
    "/v1/moderations": {
        "input": (None, 7, True, {}, [], [7], [[]], ["x"] * 1_001, [{"type": "text"}], [{"type": "nobody"}],
                  [{"type": "image_url", "image_url": {}}], [{"type": "image_url", "image_url": {"url": 7}}],
                  [{"type": "text", "text": "x"}] * 65),
        "model": (7, "", "m" * 201),
    },
    "/v1/jobs": {
        "operation": ("enlarge", 7, None),
        "inputs": (7, "x", {}, [7], ["../x"], [DIGEST], ["http://169.254.169.254/"]),
        "mask": (7, DIGEST, "../x"),
        "strength": (-1, 1.1, "1"),
        "scale": (0, 1, -2, 99, "2"),
        "count": COUNTS,
        "width": SIDES,
        "height": SIDES,
        "seed": SEEDS,
        "steps": (0, -1, 101, 1.5, "8", True, HUGE),
        "guidance_scale": (0.5, -1, 1e300, "7", True, HUGE),
        "format": ("gif", "jpg", "PNG", 7),
        "compression": (-1, 101, "50"),
        "quality": ("hd", 7),
        "tier": ("best", 7),
        "negative_prompt": (*TEXTS, "x" * 10_001),
        "project": ("../x", "", "p" * 65, "a b", 7, "a\x00b", "..", "con/x"),
        "scene": (*TEXTS, "", "s" * 201),
        "model": (*TEXTS, "", "m" * 201, "nobody"),
        "options": (7, [], "x", {str(n): n for n in range(65)}, {"": 1}, {"k" * 201: 1}, {"a\x00b": 1}),
        "policy": (7, [], {"nobody": 1}, {"prefer": "dearest"}, {"max_cost_usd": -1}, {"max_cost_usd": "NaN"},
                   {"on_unknown": "always"}, {"strict": "yes"}),
        "prompting": (7, [], {"nobody": 1}, {"optimize": "yes"}, {"style_preset": "nobody"}),
        "quote": (*TEXTS, "", "q" * 4_097, "q1.e30.AAAA"),
        "nobody": (1, None, {}),
        "__proto__": ({"admin": True},),
    },
    "/v1/prompts/analyze": {"prompt": (*TEXTS, None, "x" * 10_001), "nobody": (1,)},
    "/v1/prompts/optimize": {"prompt": (*TEXTS, None, "x" * 10_001), "force": (1, "yes"), "nobody": (1,)},
    "/v1/templates": {
        "name": (*TEXTS, "", "../x", "A B", "n" * 201, "x@1"),
        "text": (*TEXTS, "", "t" * 8_001, "{", "}", "{prompt", "{0}", "{prompt.__class__}", "{prompt!r}", "{a[0]}"),
        "negative_prompt": ("x" * 2_001, 7),
        "description": ("x" * 501, 7),
        "nobody": (1,),
    },
    "/v1/experiments": {
        "name": (*TEXTS, "", "../x"),
        "arms": (7, [], ["a@1"], ["a"] * 2, ["a@1"] * 9, ["../x@1", "b@1"], ["a@0", "b@1"], [7, 8], ["a@1", "b@1"]),
    },
    "/v1/preferences": {"image": TEXTS, "verdict": ("liked", 7, None)},
    "/v1/providers/easel": {"enabled": ("yes", 1, None, {}), "nobody": (1,)},
    "/v1/jobs/job-1/decide": {"decision": ("nobody", 7, None), "picture": ("../x", 7), "by": (7, "b" * 201)},
    "/unified/generate": {
        "width": (127, 2_049, *SIDES[2:]),
        "height": (127, 2_049, *SIDES[2:]),
        "aspect_ratio": ("2:1", "16:10", 7),
        "num_images": COUNTS,
        "seed": (0, *SEEDS),
        "model_id": ("m" * 201, 7),
        "preset_style": ("s" * 201, 7),
        "guidance_scale": (0.9, 30.1, *NUMBERS),
        "steps": (9, 101, *NUMBERS, 10.5),
        "output_format": ("gif", "PNG", 7),
        "provider": ("nobody", "p" * 201, 7),
        "provider_params": (7, [], "x"),
        "project_id": (None, 7, "", "x", "../x", PROJECT[:-1], PROJECT + "0", "p" * 5_000),
        "scene_id": (7, "x", "../x"),
        "max_cost_usd": (-1, "NaN", [], "x"),
        "negative_prompt": ("x" * 10_001, 7),
    },
    "/unified/generate/quick": {
        "num_images": (0, 9, "two", True, HUGE),
        "width": (127, 2_049, "64"),
        "provider": ("nobody", 7),
        "seed": (0, *SEEDS),
        "project_id": (None, 7, "x"),
    },
    "/unified/generate/batch": {
        "requests": (None, 7, {}, "x", [], [7], [{}], [None], [{"prompt": FOX, "project_id": PROJECT}] * 11,
                     [{"prompt": FOX, "project_id": PROJECT}, {"prompt": FOX, "project_id": "x"}],
                     [{"prompt": FOX, "project_id": PROJECT}, {"prompt": "x" * 10_001, "project_id": PROJECT}],
                     [{"prompt": FOX, "project_id": PROJECT}, {"prompt": FOX, "project_id": PROJECT, "provider": "no"}]),
    },
    "/unified/validate-prompt": {
        "prompt": (*TEXTS, None, "", "x" * 10_001), "force_optimize": ("yes", 1, None),
    },
    "/unified/prompt-stats": {"prompt": (*TEXTS, None, "", "x" * 10_001), "force_optimize": ("yes", 1)},
    "/projects/": {
        "name": (*TEXTS, None, "", " ", "\u200b", "n" * 201),
        "description": ("d" * 10_001, *TEXTS),
    },
    "/generate-image": {
        "prompt": (*TEXTS, None, "", " ", "x" * 10_001),
        "provider": (*TEXTS, None, "", "nobody", "p" * 5_000),
        "model": (*TEXTS, None, "", "nobody", "m" * 5_000),
        "size": (7, [], "s" * 5_000),
        "accessToken": (7, []),
    },
    "/models/sketch": {
        "inputs": (*TEXTS, None, "", " ", "x" * 10_001),
        "parameters": (
            7, [], "x", {"width": "64"}, {"width": -1, "height": 64}, {"width": HUGE, "height": 64}, {"width": 64},
            {"num_inference_steps": 0}, {"num_inference_steps": "x"}, {"guidance_scale": -1},
            {"guidance_scale": HUGE}, {"seed": -1}, {"seed": 2**63}, {"seed": "x"}, {"target_size": {"width": 64}},
            {"target_size": 64}, {"negative_prompt": 7}, {"scheduler": 7}, {"strength": 2, "prompt": "x"},
            {"prompt": 7}, {"prompt": "fox"},
        ),
        "options": (7, [], "x"),
    },
    "/sdapi/v1/txt2img": {
        "steps": (-1, 101, "x", 1.5, HUGE),
        "width": (-1, 0, 100_000, "64", 64.5, HUGE),
        "height": (-1, 0, 100_000, "64", HUGE),
        "cfg_scale": (-1, "x", HUGE, 99_999),
        "batch_size": (0, -1, 99, "x", 1.5, HUGE),
        "n_iter": (0, 99, HUGE),
        "seed": (2**63, HUGE, "x", 1.5),
        "styles": ("x", [7], ["a", "b"], ["nobody"], ["s" * 201]),
        "negative_prompt": (7, "x" * 10_001, "a\x00b"),
        "override_settings": (7, [], {"sd_model_checkpoint": 7}),
        "send_images": ("yes", 1),
    },
    "/sdapi/v1/img2img": {"init_images": (7, "x", [7], [FOX]), "mask": (7, []), "denoising_strength": ("x", HUGE)},
    "/sdapi/v1/extra-single-image": {"image": (None, 7, "", FOX), "upscaling_resize": ("x", [])},
    "/sdapi/v1/png-info": {"image": (None, 7, "", FOX, "AAAA")},
    "/sdapi/v1/options": {"sd_model_checkpoint": (7, [], "nobody", "n" * 5_000, "a\x00b")},
}  # fmt: skip


@pytest.mark.parametrize("path", FIELDS)
def test_a_field_of_a_wrong_type_or_range_is_refused(house, path):
    door = next(one for one in DOORS if one.path == path)
    for field, values in FIELDS[path].items():
        for value in values:
            body = door.body | {field: value}
            if path == "/v1/jobs" and field in ("width", "height"):
                body = door.body | {"width": 64, "height": 64, field: value}
            with named(f"{field}: {value!r}"):
                sent = {"content": json.dumps(body), "headers": {"content-type": "application/json"}}
                clean(house.web.request(door.method, path, **sent), 400, 404, door.wrong)


TOOLS: dict[str, tuple[dict[str, object], ...]] = {
    "generate": (
        {}, {"prompt": None}, {"prompt": ""}, {"prompt": "x" * 10_001}, {"prompt": "a\x00b"}, {"prompt": 7},
        {"prompt": FOX, "count": 0}, {"prompt": FOX, "count": 21}, {"prompt": FOX, "count": "two"},
        {"prompt": FOX, "seed": -1}, {"prompt": FOX, "width": 64}, {"prompt": FOX, "width": 1, "height": HUGE},
        {"prompt": FOX, "model": "nobody"}, {"prompt": FOX, "model": "m" * 5_000}, {"prompt": FOX, "format": "gif"},
        {"prompt": FOX, "nobody": NEVER}, {NEVER: 1}, {"prompt": FOX, "quote": "q1.e30.AAAA", "confirm": True},
        {"prompt": FOX, "project": "../x"},
    ),
    "quote": ({}, {"prompt": NEVER}, {"prompt": FOX, "model": "nobody"}),
    "edit": (
        {}, {"prompt": FOX}, {"prompt": FOX, "images": []}, {"prompt": FOX, "images": ["../../etc/passwd"]},
        {"prompt": FOX, "images": ["http://169.254.169.254/"]}, {"prompt": FOX, "images": ["file:///etc/passwd"]},
        {"prompt": FOX, "images": ["data:image/png;base64,AAAA"]}, {"prompt": FOX, "images": [NEVER]},
        {"prompt": FOX, "images": 7},
    ),
    "job": ({}, {"job": "../x"}, {"job": NEVER}, {"job": 7}, {"id": "a\x00b"}),
    "cancel": ({}, {"job": "../x"}, {"job": NEVER}),
    "search": ({"limit": 0}, {"limit": HUGE}, {"words": 7}, {"nobody": 1}, {"project": "../x"}),
    "nobody": ({},),
    NEVER: ({},),
}  # fmt: skip


@pytest.fixture
def session(running) -> dict[str, str]:
    """The headers of an open session."""
    kinds = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    opened = running.web.post("/mcp", json=hello, headers=kinds)
    return kinds | {"mcp-session-id": opened.headers["mcp-session-id"]}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda name: name[:8])
def test_a_tool_refuses_wrong_arguments_in_its_own_words(house, session, tool):
    for given in TOOLS[tool]:
        call = {
            "jsonrpc": "2.0",
            "id": 7,
            "method": "tools/call",
            "params": {"name": tool, "arguments": given},
        }
        with named(given):
            answer = house.web.post("/mcp", content=json.dumps(call), headers=session)
            assert answer.status_code == 200
            line = next(one for one in answer.text.splitlines() if one.startswith("data: {"))
            said = json.loads(line.removeprefix("data: "))
            assert "error" in said or said["result"]["isError"] is True, line[:500]
            assert len(line) < 3_000
            assert "Traceback" not in line
            assert NEVER[:201] not in line


MESSAGES: tuple[object, ...] = (
    {}, {"jsonrpc": "1.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0"}, {"jsonrpc": "2.0", "id": 1},
    {"jsonrpc": "2.0", "id": 1, "method": 7}, {"jsonrpc": "2.0", "id": 1, "method": None},
    {"jsonrpc": "2.0", "id": [], "method": "ping"}, {"jsonrpc": "2.0", "id": True, "method": "ping"},
    {"jsonrpc": "2.0", "id": "x" * 257, "method": "ping"}, {"jsonrpc": "2.0", "id": HUGE**9, "method": "ping"},
    {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": 7},
    {"jsonrpc": "2.0", "id": 1, "result": 7}, [], [{"jsonrpc": "2.0", "id": 1, "method": "ping"}], "ping", None,
)  # fmt: skip


def test_what_is_no_message_is_refused_and_not_echoed(house, session):
    for message in MESSAGES:
        with named(message):
            clean(house.web.post("/mcp", content=json.dumps(message), headers=session), 400)


def test_an_odd_session_is_refused(house, session):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for given in ("none", "../x", "x" * 5_000, "0" * 32):
        with named(given):
            clean(house.web.post("/mcp", json=ping, headers=session | {"mcp-session-id": given}), 400, 404)


CHATS: tuple[object, ...] = (
    b"", b"{", b"[]", b"null", b"\xff", b'{"messages": [}', b"[" * 60_000,
    {}, {"messages": None}, {"messages": 7}, {"messages": []}, {"messages": [7]}, {"messages": [{}]},
    {"messages": [{"role": "nobody", "content": FOX}]}, {"messages": [{"role": "user", "content": ""}]},
    {"messages": [{"role": "user", "content": 7}]}, {"messages": [{"role": "user", "content": "a\x00b"}]},
    {"messages": [{"role": "assistant", "content": FOX}]}, {"messages": [{"role": "user", "content": FOX}] * 5_000},
    {"messages": [{"role": "user", "content": FOX}], "temperature": -1},
    {"messages": [{"role": "user", "content": FOX}], "temperature": "x"},
    {"messages": [{"role": "user", "content": FOX}], "max_tokens": 0},
    {"messages": [{"role": "user", "content": FOX}], "tools": 7},
    {"messages": [{"role": "user", "content": NEVER * 5}]},
)  # fmt: skip


def test_a_chat_refuses_in_its_stream(house):
    for body in CHATS:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        with named(sent[:100]):
            answer = house.web.post("/chat", content=sent, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (
                200,
                "text/event-stream",
            )
            assert answer.headers["x-request-id"]
            lines = [line for line in answer.text.split("\n") if not line.startswith(":")]
            assert lines[0] == "event: error", answer.text[:300]
            assert json.loads(lines[1].removeprefix("data: "))["code"] == "INVALID_REQUEST"
            assert len(answer.text) < 1_500
            assert NEVER[:201] not in answer.text
