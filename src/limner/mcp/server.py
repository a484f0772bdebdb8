"""The protocol's server over one Limner, whatever carries it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError

from limner import __version__
from limner.mcp import resources
from limner.mcp.purse import Purse
from limner.mcp.tools import Asked, Tools
from limner.mcp.verbs import Verbs

Context: TypeAlias = ServerRequestContext[Any, Any]
Who: TypeAlias = Callable[[Context], tuple[str, Purse]]
"""Who calls, and what the session may spend."""

_ABOUT = (
    "Limner draws and edits pictures, on this machine for free or at vendors for money. Call generate; what "
    "is not free is quoted first and ordered only with confirm=true. Ask the person before you confirm a "
    "price. Answers show small previews; the whole picture is the linked resource."
)


def server(limner: Verbs, who: Who) -> Server[Any]:
    """Tools and resources, not yet connected to anything."""
    tools = Tools(limner)

    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools.listed)

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name not in tools:
            known = ", ".join(one.name for one in tools.listed)
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool {params.name[:60]!r}; there are {known}")
        by, purse = who(ctx)

        async def report(fraction: float, word: str) -> None:
            await ctx.session.report_progress(fraction, 1.0, word)

        return await tools.call(params.name, params.arguments or {}, Asked(by, purse, report))

    async def list_resources(
        _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=await resources.newest(limner))

    async def list_templates(
        _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=[resources.TEMPLATE])

    async def read_resource(_: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return types.ReadResourceResult(contents=[await resources.read(limner, params.uri)])

    return Server(
        "limner",
        version=__version__,
        title="Limner",
        instructions=_ABOUT,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def one_session(limner: Verbs, by: str, ceiling: Decimal | None) -> Server[Any]:
    """A server whose one connection is one session, as over stdio."""
    purse = Purse(ceiling)
    return server(limner, lambda _: (by, purse))
