"""Pictures that requests work on: checked when they come, kept by digest, found again by digest or id."""

import asyncio
import re

from pydantic import BaseModel, ConfigDict

from limner.blobs.store import Blobs
from limner.core.errors import InvalidRequest, NotFound
from limner.core.request import MAX_SIDE, Format, GenerateRequest
from limner.imaging.decode import decode
from limner.imaging.sniff import InvalidImage, Kind, sniff
from limner.store.store import Store

MAX_INPUT_BYTES = 32 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIZED_BY_INPUT = ("edit", "inpaint", "image-to-image", "variation")
"""Operations whose picture has its input's size when the caller names none."""


class Input(BaseModel):
    """A picture that is kept here, to be named in `inputs` or `mask` of requests."""

    model_config = ConfigDict(frozen=True)

    digest: str
    """SHA-256 of the file, hex."""
    size_bytes: int
    width: int
    height: int
    format: Format


class Inputs:
    """The pictures that were sent in, and those made here that are worked on further."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    async def keep(self, data: bytes) -> Input:
        """Store a picture that was sent in. Raises `InvalidRequest` for what is no whole PNG, JPEG or WebP
        file, or is larger than 32 MiB or 64 million pixels, and `StorageError`."""
        if len(data) > MAX_INPUT_BYTES:
            raise InvalidRequest(
                f"the picture has {len(data):,} bytes; at most {MAX_INPUT_BYTES:,}", "inputs"
            )
        try:
            kind = sniff(data)
            await asyncio.to_thread(decode, data)
        except InvalidImage as error:
            raise InvalidRequest(f"the picture cannot be read: {error}", "inputs") from error
        digest = await self._blobs.put(data)  # far younger than what is swept when its record follows
        await self._store.remember_input(digest, len(data))
        return Input(
            digest=digest, size_bytes=len(data), width=kind.width, height=kind.height, format=kind.format
        )

    async def settle(self, request: GenerateRequest) -> GenerateRequest:
        """The request with every picture named by its digest and found to be here, the mask matching the
        first of them. Raises `InvalidRequest`."""
        if not request.inputs:
            return request
        digests = [await self._digest(name, "inputs") for name in request.inputs]
        kinds = [await self._kind(digest, "inputs") for digest in digests]
        changes: dict[str, object] = {"inputs": tuple(digests)}
        if request.mask is not None:
            changes["mask"] = await self._mask(request.mask, kinds[0])
        first = kinds[0]
        if (
            request.operation in _SIZED_BY_INPUT
            and request.size is None
            and max(first.width, first.height) <= MAX_SIDE
        ):
            changes |= {"width": first.width, "height": first.height}
        return request.model_copy(update=changes)

    async def _digest(self, name: str, field: str) -> str:
        if _DIGEST.fullmatch(name):
            return name
        try:
            return (await self._store.image(name)).digest
        except NotFound as error:
            raise InvalidRequest(f"{field}: no picture has the id {name}", field) from error

    async def _kind(self, digest: str, field: str) -> Kind:
        try:
            return sniff(await self._blobs.get(digest))
        except NotFound as error:
            said = f"{field}: the picture {digest[:12]}... is not kept here; send it first"
            raise InvalidRequest(said, field) from error

    async def _mask(self, name: str, first: Kind) -> str:
        digest = await self._digest(name, "mask")
        kind = await self._kind(digest, "mask")
        if kind.format != "png":
            raise InvalidRequest("mask: must be a PNG that is transparent where to paint", "mask")
        if (kind.width, kind.height) != (first.width, first.height):
            raise InvalidRequest(
                f"mask: is {kind.width}x{kind.height} and the picture {first.width}x{first.height}; "
                "both must have the same size",
                "mask",
            )
        return digest
