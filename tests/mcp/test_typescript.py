"""The protocol's own TypeScript SDK, which most programs use. Collected once `make mcpsdk` installed it."""

import asyncio
import json
import shutil
from pathlib import Path

from tests.mcp.test_tools import NAMES

HERE = Path(__file__).parent / "typescript"
INSTALLED = Path(__file__).parents[2] / "build" / "mcp-typescript"


async def test_the_typescript_client_confirms_a_price_and_reads_the_picture(serve):
    script = shutil.copy(HERE / "client.mjs", INSTALLED)
    process = await asyncio.create_subprocess_exec(
        "node", script, f"{serve()}/mcp", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    assert json.loads(out) == {
        "server": "limner",
        "tools": NAMES,
        "asked": "needs_confirmation",
        "drawn": "succeeded",
        "spent": 0.04,
        "blocks": ["text", "image", "resource_link"],
        "progress": True,
        "type": "image/png",
        "begins": "PNG",
        "wrong": True,
    }
