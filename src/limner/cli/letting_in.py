"""A command that keeps the home for hours answers at a free port meanwhile, so that others need not wait."""

import contextlib
from collections.abc import Iterator

import uvicorn

from limner.api.app import create_app
from limner.app import Limner
from limner.cli.listening import authority, listen

_HERE = "127.0.0.1"


class QuietServer(uvicorn.Server):
    """Leaves the signals to the command."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are the command's."""
        yield


async def let_others_in(limner: Limner) -> None:
    """Answer at a free port of this machine until cancelled: other commands on the same home find it."""
    settings = limner.settings
    with listen(_HERE, 0) as listener:
        app = create_app(
            limner, max_body_bytes=settings.max_body_bytes, max_upload_bytes=settings.max_upload_bytes
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off")
        limner.serving(f"http://{authority(_HERE, listener.getsockname()[1])}")
        await QuietServer(config).serve(sockets=[listener])
