"""Pictures as resources: `limner://images/ID`, the bytes as they were stored."""

import re

import pybase64
from mcp import types
from mcp.shared.exceptions import MCPError

from limner.core.errors import LimnerError, NotFound
from limner.core.request import MIME
from limner.mcp.answers import SCHEME, link
from limner.mcp.verbs import Verbs

_NEWEST = 20
"""Orders whose pictures are listed."""
_ADDRESS = re.compile(rf"{re.escape(SCHEME)}([A-Za-z0-9_-]{{1,64}})")
TEMPLATE = types.ResourceTemplate(
    uri_template=f"{SCHEME}{{id}}",
    name="picture",
    title="A finished picture",
    description="The file as it was stored: PNG, JPEG or WebP. The tools search and job tell ids.",
)


async def newest(limner: Verbs) -> list[types.Resource]:
    """The pictures of the last few orders."""
    jobs = await limner.jobs(state="succeeded", project=None, limit=_NEWEST, before=None)
    images = [image for job in jobs for image in job.images]
    return [types.Resource(**link(image).model_dump(exclude={"type"})) for image in images]


async def read(limner: Verbs, uri: str) -> types.BlobResourceContents:
    """The picture's bytes. Raises `MCPError` for what is not here."""
    address = _ADDRESS.fullmatch(uri)
    try:
        if address is None:
            raise NotFound("no such address")
        artifact = await limner.image(address[1])
        data = await limner.open(artifact)
    except NotFound:
        said = (
            f"Nothing is at this address; pictures are at {TEMPLATE.uri_template}, and search finds their ids"
        )
        raise MCPError(types.INVALID_PARAMS, said, {"uri": uri[:200]}) from None
    except LimnerError as error:
        raise MCPError(types.INTERNAL_ERROR, str(error)[:1000]) from error
    return types.BlobResourceContents(
        uri=uri, mime_type=MIME[artifact.format], blob=pybase64.b64encode(data).decode()
    )
