"""`POST /generate-image`: the second of two phases, a picture that was offered before. And the catalogue."""

from typing import NamedTuple

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import idempotency_key, read
from limner.api.caller import key_of
from limner.api.errors import MAX_MESSAGE, NotDone, cut, fault_of
from limner.api.facts import ignored
from limner.api.reference import ANYWHERE, BODY, IDEMPOTENCY_KEY, MEANING, Answer, get, takes
from limner.api.shapes import two_phase_shape
from limner.api.two_phase_shapes import PressAnswer, PressBody, PressRefusal, answer_of, refusal
from limner.app import Limner
from limner.chat.catalogue import Catalogue, catalogue
from limner.chat.names import KEYS, entry_of
from limner.chat.press import Nobody, Pressed, press
from limner.core.errors import LimnerError
from limner.core.job import Job
from limner.providers.find import installed

_VENDORS = frozenset({502, 504})
"""What a vendor did wrong is 500 at this door: its clients know no other."""


class _Told(NamedTuple):
    """A refusal with its status."""

    status: int
    said: PressRefusal
    headers: dict[str, str]


class TwoPhase:
    """The door. `public_url` is how clients reach this server; empty: as the request came."""

    def __init__(self, limner: Limner, *, max_body_bytes: int, public_url: str) -> None:
        self._limner = limner
        self._limit = max_body_bytes
        self._public_url = public_url.rstrip("/")
        self._addresses = {name: kind.base_url for name, kind in installed().items()}

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(
            "/generate-image",
            self.generate,
            methods=["POST"],
            tags=["Two-phase chat"],
            summary="Draw what was offered",
            description=(
                "Draws the picture that the tool `generate_image` offered, at the price it was offered for. "
                "Where that provider cannot, another of the same tier draws it once, for no more."
            ),
            response_model=PressAnswer,
            responses=_errors(*BODY, 402, 409, 429, 503, 507),
            openapi_extra=takes(PressBody, IDEMPOTENCY_KEY),
        )
        get(
            app,
            "/chat/models",
            self.catalogue,
            tags=["Two-phase chat"],
            summary="The catalogue, as chat clients know it",
            response_model=Catalogue,
            responses=_errors(),
        )

    async def catalogue(self) -> Response:
        """Answer a `Catalogue`."""
        limner = self._limner
        return _json(200, catalogue(limner.listings(), self._addresses, limner.set_up()))

    async def generate(self, request: Request) -> Response:
        """Draw, wait, and answer a `PressAnswer`, or a `PressRefusal`."""
        body, unknown = await read(request, PressBody, self._limit)
        try:
            by = self._limner.who(key_of(request.scope["headers"]) or body.access_token or None)
            wish = body.wish(self._names())
            pressed = await press(self._limner, wish, key=idempotency_key(request), by=by)
            if pressed.job.state != "succeeded":
                raise NotDone(pressed.job)
        except LimnerError as error:
            status, said, headers = _refused(body, error)
            return _json(status, said, headers)
        return self._done(request, body, pressed, unknown)

    def _done(
        self, request: Request, body: PressBody, pressed: Pressed, unknown: tuple[str, ...]
    ) -> Response:
        base = self._public_url or str(request.base_url).rstrip("/")
        names = {name.alias or key for key, name in PressBody.model_fields.items()}
        headers = {"x-limner-job": pressed.job.id} | ignored([one for one in unknown if one not in names])
        image = pressed.job.images[0]
        drawn_by = entry_of(self._limner.models(), image.provider, image.model)
        return _json(200, answer_of(body, pressed, drawn_by, base), headers)

    def _names(self) -> frozenset[tuple[str, str]]:
        """Every name and key of every model, by provider."""
        models = [model for model in self._limner.models() if not model.open]
        names = {(m.provider, name) for m in models for name in (m.id, m.ref, *m.aliases, *m.stands_in_for)}
        return frozenset(names | {(provider, key) for (provider, _), key in KEYS.items()})


def _refused(body: PressBody, error: LimnerError) -> _Told:
    fault = fault_of(error)
    status, headers = fault.rule.status, dict(fault.headers)
    code = str(two_phase_shape(fault)["code"])
    job = _job_of(error)
    said = refusal(body, _sentence(error), code, job)
    if isinstance(error, Nobody):
        more = {
            "primary_provider": said.provider,
            "primary_reason": cut(error.reason),
            "attempted_fallback": True,
            "fallback_result": cut(error.then),
        }
        said = said.model_copy(update=more)
    headers["x-should-retry"] = "true" if fault.rule.again else "false"
    return _Told(500 if status in _VENDORS else status, said, headers)


def _sentence(error: LimnerError) -> str:
    """For people; that an answer is lost is said with the way to the picture."""
    job = _job_of(error)
    text = cut(str(error), MAX_MESSAGE)
    if isinstance(error, NotDone) and error.word == "unknown" and job is not None:
        return f"The order was sent and its answer was lost, so it may have been charged. {text}"
    return text


def _job_of(error: LimnerError) -> Job | None:
    match error:
        case NotDone(job=job) | Nobody(job=job):
            return job
        case _:
            return None


def _json(status: int, said: BaseModel, headers: dict[str, str] | None = None) -> Response:
    text = said.model_dump_json(by_alias=True, exclude_none=True)
    return Response(text, status, headers, "application/json")


def _errors(*statuses: int) -> Answer:
    return {
        status: {"description": MEANING[status], "model": PressRefusal} for status in (*statuses, *ANYWHERE)
    }
