"""`limner chat`: the chat window in a browser, over Limner in this process or the one that owns the home."""

import logging
import os
import socket
import tempfile
import webbrowser
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import anyio
import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

from limner.app import Limner
from limner.building import language_of
from limner.chat.ui.folder import furnish
from limner.chat.ui.gate import Gate
from limner.chat.verbs import Verbs
from limner.cli import session, view
from limner.cli.elsewhere import Elsewhere
from limner.cli.letting_in import QuietServer, let_others_in
from limner.cli.listening import authority, listen
from limner.config import Settings
from limner.core.errors import SetupError
from limner.prompts.language import Language
from limner.wire import session as http_session

_HERE = "127.0.0.1"
_GRACE_S = 2


def chat(*, port: int, headless: bool, debug: bool) -> None:
    """Serve the window until Ctrl-C or SIGTERM. Raises `SetupError` when Chainlit is not installed, or for a
    port that cannot be had."""
    if find_spec("chainlit") is None:
        raise SetupError("the chat window needs Chainlit: pip install 'limner[chainlit]'")
    chosen = session.settings(debug=debug).settings
    with listen(_HERE, port) as listener, tempfile.TemporaryDirectory(prefix="limner-chat-") as folder:

        async def work() -> None:
            async with _house(chosen) as (limner, language):
                await _serve(_window(limner, language, Path(folder)), listener, headless=headless)

        try:
            session.run(work)
        except KeyboardInterrupt:
            return  # to be stopped is how a server ends


@asynccontextmanager
async def _house(chosen: Settings) -> AsyncIterator[tuple[Verbs, Language]]:
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(session.entered(chosen))
        if isinstance(door, Limner):
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(let_others_in, door)
            yield door, door.language
        else:
            http = await stack.enter_async_context(http_session())
            yield Elsewhere(Limner(chosen), door), language_of(chosen, http)


def _window(limner: Verbs, language: Language, folder: Path) -> ASGIApp:
    """Chainlit's app. It reads its folder and the environment while it is imported, and not again."""
    furnish(folder)
    os.environ["CHAINLIT_APP_ROOT"] = str(folder)
    os.environ["CHAINLIT_ENV_FILE"] = str(
        folder / "none"
    )  # its own .env would come into Limner's environment
    from limner.chat.ui.window import Window

    Window(limner, language).register()
    logging.getLogger("chainlit").setLevel(logging.ERROR)
    from chainlit.server import app

    return Gate(app)


async def _serve(app: ASGIApp, listener: socket.socket, *, headless: bool) -> None:
    # No lifespan: at its end Chainlit kills the process, and Limner with it.
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
    )
    url = f"http://{authority(_HERE, listener.getsockname()[1])}"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(QuietServer(config).serve, [listener])
        view.out().print(f"The chat is at {url}. Ctrl-C stops it.", markup=False)
        if not headless:
            await anyio.to_thread.run_sync(webbrowser.open, url)
