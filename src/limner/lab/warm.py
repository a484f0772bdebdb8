"""Imported once by the process that all others are copies of: it has been a server for a moment, so that
whatever is made at first use is made already. Of a start there remain lock, migrations, leases and what was
left open."""

import asyncio
import gc
import sys
import tempfile
from functools import cache
from pathlib import Path

import uvicorn.protocols.http.httptools_impl  # noqa: F401 - imported for its weight

import limner.cli.app
import limner.cli.serve
import limner.store.postgres  # noqa: F401 - imported for its weight
from limner.api.app import create_app
from limner.app import Limner
from limner.catalog import load
from limner.config import Settings
from limner.lab.orders import menu


async def _be_a_server() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Limner(Settings(home=Path(folder), disabled_providers=("local",))) as limner:
            create_app(limner, max_body_bytes=1 << 20, public_url="")


setattr(load, "_read", cache(load._read))  # noqa: B010, SLF001 - the shipped catalog stays the same while a laboratory runs
menu()
if "multiprocessing.forkserver" in sys.modules:  # not where somebody only looks at this module
    asyncio.run(_be_a_server())
    gc.collect()
    gc.freeze()
