"""`limner mcp`: a process of its own, as programs start it."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

import limner as limner_package

FOX = {"prompt": "a red fox", "seed": 3, "width": 128, "height": 128, "quality": "fast"}


def environ(home: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "LIMNER_HOME": str(home),
        "PYTHONPATH": str(Path(limner_package.__file__).parents[1]),
    }


@asynccontextmanager
async def started(home: Path, mode: str = "auto"):
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "limner", "mcp"], env=environ(home), cwd=home.parent
    )
    with (home.parent / "stderr").open("w") as complaints:
        async with Client(stdio_client(command, errlog=complaints), mode=mode) as client:
            yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_program_draws_with_the_models_on_this_machine(home, mode):
    async with started(home, mode) as client:
        told = await client.call_tool("generate", FOX)
        assert [block.type for block in told.content] == ["text", "image", "resource_link"]
        assert told.structured_content["provider"] == "local"
        (content,) = (await client.read_resource(told.content[2].uri)).contents
        assert content.mime_type == "image/png"


async def test_a_second_program_works_through_the_first_on_the_same_home(home):
    async with started(home) as first:
        made = (await first.call_tool("generate", FOX)).structured_content
        async with started(home) as second:
            found = (await second.call_tool("search", {"words": "fox"})).structured_content
            assert [one["id"] for one in found["images"]] == [made["images"][0]["id"]]
            listed = (await second.call_tool("list_models", {})).structured_content
            assert listed == (await first.call_tool("list_models", {})).structured_content
            again = (await second.call_tool("generate", FOX)).structured_content
            assert again["images"][0]["digest"] == made["images"][0]["digest"]
            job = (await second.call_tool("job", {"job_id": again["job_id"]})).structured_content
            assert job["status"] == "succeeded"


async def test_stdout_carries_the_protocol_alone_and_the_end_of_stdin_ends_it(home):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "limner",
        "mcp",
        "--debug",
        env=environ(home),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    client = {"name": "test", "version": "1"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    hostile = ["x{", "[]", "null", "[" * 100_000, '{"jsonrpc":"2.0","id":2,"method":"no/such"}']
    process.stdin.write("\n".join([json.dumps(hello), *hostile, ""]).encode())
    process.stdin.write(b'{"jsonrpc":"2.0","id":3,"method":"ping"}\n')
    ids = set()
    while 3 not in ids:
        ids.add(json.loads(await process.stdout.readline()).get("id"))
    process.stdin.close()
    rest = await process.stdout.read()
    assert all("jsonrpc" in json.loads(line) for line in rest.splitlines())
    assert await process.wait() == 0
