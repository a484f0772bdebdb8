"""A vendor's answer as one blob, so that what was bought is kept whole and at once.

Layout: 4 bytes big-endian length of the head, the head as JSON, then the pictures one after the other; of an
answer whose pictures are stored as files already, the head names them by digest.
"""

import struct

from pydantic import BaseModel, ValidationError

from limner.core.errors import Malformed
from limner.providers.base import Done, Usage

_LENGTH = struct.Struct(">I")


class _Head(BaseModel):
    sizes: tuple[int, ...]
    seeds: tuple[int, ...] = ()
    cost_usd: str | None = None
    engine: str | None = None
    links: tuple[str, ...] = ()
    usage: Usage | None = None
    marks: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def pack(done: Done, files: tuple[str, ...] = ()) -> bytes:
    """The answer's bytes. `files` are digests of pictures that are stored elsewhere."""
    head = _Head(
        sizes=tuple(len(image) for image in done.images),
        seeds=done.seeds,
        cost_usd=done.cost_usd,
        engine=done.engine,
        links=done.links,
        usage=done.usage,
        marks=done.marks,
        files=files,
    )
    text = head.model_dump_json().encode()
    return b"".join((_LENGTH.pack(len(text)), text, *done.images))


def unpack(data: bytes) -> tuple[Done, tuple[str, ...]]:
    """The answer from its bytes, and the digests of its pictures that are files. Raises `Malformed`."""
    try:
        (length,) = _LENGTH.unpack_from(data)
        start = _LENGTH.size + length
        head = _Head.model_validate_json(data[_LENGTH.size : start])
    except (struct.error, ValidationError) as error:
        raise Malformed(f"a kept answer cannot be read: {error}") from error
    images = []
    for size in head.sizes:
        images.append(data[start : start + size])
        start += size
    if start != len(data):
        raise Malformed(f"a kept answer has {len(data)} bytes where its head says {start}")
    done = Done(
        images=tuple(images),
        links=head.links,
        seeds=head.seeds,
        cost_usd=head.cost_usd,
        engine=head.engine,
        usage=head.usage,
        marks=head.marks,
    )
    return done, head.files
