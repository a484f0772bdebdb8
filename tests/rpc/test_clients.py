"""Programs of others: a Node client over the .proto, and the Python example of the documentation."""

import asyncio
import json
import sys
from pathlib import Path

from limner.rpc import starweave_pb2
from tests.api.fakes import NOW
from tests.clients.npm import installed

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "tests" / "clients" / "grpc"
PROTO = ROOT / "src" / starweave_pb2.DESCRIPTOR.name
PATIENCE_S = 60


async def run(*command: object) -> str:
    """What the program printed; it must end well."""
    child = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(child.communicate(), PATIENCE_S)
    assert (child.returncode, err.decode()) == (0, "")
    return out.decode()


async def test_a_node_client_draws_is_refused_varies_and_lists(server):
    home = await asyncio.to_thread(installed, CLIENT)
    seen = json.loads(await run("node", CLIENT / "client.mjs", PROTO, f"127.0.0.1:{server.port}", home))
    png = b"\x89PNG\r\n\x1a\n".hex()
    assert seen["picture"] == {
        "id": "job-0001",
        "bytes": png,
        "format": "image/png",
        "error": "",
        "seed": 5,
        "model": "house",
        "at": NOW,
        "width": "256",
    }
    assert seen["refused"]["error"] == "Invalid request: Width must be between 128 and 1024"
    assert [one["seed"] for one in seen["variations"]] == [40, 41, 42]
    assert [one["id"][-2:] for one in seen["variations"]] == ["-0", "-1", "-2"]
    assert [one["bytes"] for one in seen["variations"]] == [png] * 3
    assert seen["models"] == ["runwayml/stable-diffusion-v1-5", "stabilityai/stable-diffusion-2-1", "house"]


async def test_the_example_draws_a_picture_and_two_variations(server, limner, tmp_path):
    example = ROOT / "examples" / "grpc_client.py"
    said = await run(
        sys.executable, example, "a fox", "--port", server.port, "--out", tmp_path, "--side", 128
    )
    assert said.splitlines() == [
        "runwayml/stable-diffusion-v1-5: loaded",
        "stabilityai/stable-diffusion-2-1: loaded",
        "house: loaded",
        f"{tmp_path}/picture.png  house, seed 7",
        f"{tmp_path}/variation-0.png  house, seed 7",
        f"{tmp_path}/variation-1.png  house, seed 8",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "picture.png",
        "variation-0.png",
        "variation-1.png",
    ]
    assert [order.size for order in limner.orders] == [(128, 128)] * 3
