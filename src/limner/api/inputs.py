"""`POST /v1/inputs`: pictures that requests work on, as plain bytes."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import raw
from limner.api.errors import WrongContentType, cut
from limner.api.reference import PICTURES, limner_errors
from limner.app import Limner
from limner.inputs import MAX_INPUT_BYTES, Input

_KINDS = (*PICTURES, "application/octet-stream", "")


class InputPictures:
    """The door."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURES}
        app.add_api_route(
            "/v1/inputs",
            self.keep,
            methods=["POST"],
            status_code=201,
            tags=["Limner"],
            summary="Hand over a picture to work on, and get the digest that names it",
            description=(
                "The body is the PNG, JPEG or WebP file, at most 32 MiB. Name its digest in `inputs` or "
                "`mask` of an order. The same picture again is the same digest."
            ),
            response_model=Input,
            responses=limner_errors(400, 408, 413, 415, 507),
            openapi_extra={"requestBody": {"required": True, "content": content}},
        )

    async def keep(self, request: Request) -> Response:
        """Answer an `Input`."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _KINDS:
            raise WrongContentType(
                f"the body is declared as {cut(kind, 64)}; send a picture as image/png, jpeg or webp"
            )
        kept = await self._limner.keep(await raw(request, MAX_INPUT_BYTES))
        return Response(kept.model_dump_json(), 201, media_type="application/json")
