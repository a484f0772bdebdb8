"""Finished pictures: what is known of them, their files and thumbnails."""

import re
from typing import Annotated

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from limner.api.caller import caller
from limner.api.reference import MEANING, PICTURES, answer, get, openai_errors, unified_errors
from limner.app import Limner
from limner.core.job import Artifact
from limner.core.request import MIME

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_FOREVER = "private, max-age=31536000, immutable"
_UNCHANGED = answer(304, MEANING[304])


class Gallery:
    """The door. Addresses are unguessable and need no key; a file never changes, so it is cached for good."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        get(
            app,
            "/v1/images/{image_id:key}",
            self.image,
            tags=["Pictures"],
            summary="Read what is known of a picture: size, seed, digest, recipe",
            response_model=Artifact,
            responses=openai_errors(404, 507),
        )
        app.add_api_route(
            "/v1/images/{image_id:key}",
            self.remove,
            methods=["DELETE"],
            tags=["Pictures"],
            summary="Put a picture away: it is served no more, and its record stays in the journal",
            response_model=Artifact,
            responses=openai_errors(404, 507),
        )
        get(
            app,
            "/v1/images/{image_id:key}/file",
            self.file,
            tags=["Pictures"],
            summary="The picture itself",
            response_class=Response,
            responses=answer(200, "The file as it was stored", *PICTURES)
            | _UNCHANGED
            | openai_errors(404, 507),
        )
        get(
            app,
            "/v1/images/{image_id:key}/thumbnail",
            self.thumbnail,
            tags=["Pictures"],
            summary="A small WebP of the picture",
            response_class=Response,
            responses=answer(200, "At most `side` pixels on its longer side", "image/webp")
            | _UNCHANGED
            | openai_errors(400, 404, 507),
        )
        get(
            app,
            "/storage/images/{project:segment}/{provider:segment}/{file:segment}",
            self.stored,
            tags=["Pictures"],
            summary="The picture by the path that jobs give",
            response_class=Response,
            responses=answer(200, "The file as it was stored", *PICTURES)
            | _UNCHANGED
            | unified_errors(404, 507),
        )

    async def image(self, image_id: str) -> Response:
        """Answer the `Artifact`."""
        artifact = await self._limner.image(image_id)
        return Response(artifact.model_dump_json(), media_type="application/json")

    async def remove(self, request: Request, image_id: str) -> Response:
        """Answer the `Artifact` as it was."""
        artifact = await self._limner.projects.remove_image(image_id, caller(request))
        return Response(artifact.model_dump_json(), media_type="application/json")

    async def file(self, request: Request, image_id: str) -> Response:
        """Answer the picture's bytes."""
        return await self._send(request, await self._limner.image(image_id))

    async def stored(self, request: Request, project: str, provider: str, file: str) -> Response:
        """Answer the picture's bytes."""
        return await self._send(request, await self._limner.image_at(project, provider, file))

    async def thumbnail(
        self, request: Request, image_id: str, side: Annotated[int, Query(ge=16, le=1024)] = 256
    ) -> Response:
        """Answer a WebP of at most `side` pixels a side."""
        artifact = await self._limner.image(image_id)
        headers = _headers(f'"{artifact.digest}-{side}"', f"{artifact.id}-{side}.webp")
        if _has_it(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        small = await self._limner.thumbnail(artifact, side)
        return Response(small, 200, headers, "image/webp")

    async def _send(self, request: Request, artifact: Artifact) -> Response:
        headers = _headers(f'"{artifact.digest}"', artifact.file)
        if _has_it(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        kind = MIME[artifact.format]
        if request.method == "HEAD":
            return Response(None, 200, headers | {"content-length": str(artifact.size_bytes)}, kind)
        return Response(await self._limner.open(artifact), 200, headers, kind)


def _headers(etag: str, name: str) -> dict[str, str]:
    return {
        "etag": etag,
        "cache-control": _FOREVER,
        "content-disposition": f'inline; filename="{_UNSAFE.sub("_", name)}"',
        "x-content-type-options": "nosniff",
    }


def _has_it(request: Request, etag: str) -> bool:
    """True when the client holds this very file already (RFC 9110, 13.1.2: weak comparison)."""
    given = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in given or given == ["*"]
