"""The door for language models needs version 2 of its library; Chainlit, beside it, keeps it below."""

from importlib.metadata import version

from limner.core.errors import SetupError

_NEEDS = 2


def mcp_missing() -> str | None:
    """Why the door cannot be opened, None when it can."""
    found = version("mcp")
    if int(found.partition(".")[0]) >= _NEEDS:
        return None
    return (
        f"MCP is not served here: it needs the package mcp 2, and Chainlit keeps it at {found}. "
        "Limner in another environment, without the extra chainlit, serves it."
    )


def check_mcp() -> None:
    """Raises `SetupError` where MCP cannot be spoken."""
    missing = mcp_missing()
    if missing is not None:
        raise SetupError(missing)
