import hashlib

import pybase64
import pytest
from mcp.shared.exceptions import MCPError

from limner.mcp import resources


async def test_the_whole_picture_is_read_by_its_address(limner):
    job = await limner.draw("a red fox", model="sketch", format="webp")
    image = job.images[0]
    content = await resources.read(limner, f"limner://images/{image.id}")
    assert content.mime_type == "image/webp"
    assert hashlib.sha256(pybase64.b64decode(content.blob)).hexdigest() == image.digest


async def test_the_newest_pictures_are_listed(limner):
    jobs = [await limner.draw(prompt, model="sketch", count=2) for prompt in ("a red fox", "an owl")]
    listed = await resources.newest(limner)
    assert [one.uri for one in listed] == [
        f"limner://images/{image.id}" for job in reversed(jobs) for image in job.images
    ]
    assert {one.mime_type for one in listed} == {"image/png"}


@pytest.mark.parametrize(
    "uri",
    ["limner://images/", "limner://images/x/y", "limner://jobs/1", "file:///etc/passwd", "", "x" * 10_000],
)
async def test_what_is_not_here_is_an_error_of_the_protocol_that_echoes_little(limner, uri):
    with pytest.raises(MCPError) as refused:
        await resources.read(limner, uri)
    assert refused.value.error.code == -32602
    assert len(refused.value.error.model_dump_json()) < 500
