"""`starweave.ImageGenerationService`: parse, one verb, answer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError

from limner.app import Limner
from limner.core.errors import InvalidRequest, LimnerError
from limner.core.job import Job
from limner.core.request import GenerateRequest
from limner.rpc import told
from limner.rpc.asked import in_their_words, many, model_of, order, strength, varied
from limner.rpc.gate import Context, Gate, Handler, value
from limner.rpc.models import listed
from limner.rpc.starweave_pb2 import (
    ImageRequest,
    ImageResponse,
    ImageVariationsRequest,
    ModelRequest,
    ModelResponse,
)

NAME = "starweave.ImageGenerationService"
MAX_KEY = 200
_INVALID, _INVALID_BASE = "Invalid request: ", "Invalid base request: "
_UNREADABLE = "the message is no valid protobuf, or a text in it is not UTF-8"
_NO_PICTURE = "has no effect: the request holds no picture to vary; each one is drawn from its own seed"

_log = structlog.get_logger()
T = TypeVar("T")
M = TypeVar("M", ImageRequest, ImageVariationsRequest)


class Mishap(LimnerError):
    """A fault of ours; the log has it under the request's id."""


class ImageGeneration:
    """The three methods. A client that leaves, or whose deadline passes, stops waiting and nothing else."""

    def __init__(self, limner: Limner, gate: Gate) -> None:
        self._limner = limner
        self._gate = gate

    def handler(self) -> grpc.GenericRpcHandler:
        """The methods as the server takes them."""
        methods: dict[str, Handler] = {
            "GenerateImage": grpc.unary_unary_rpc_method_handler(
                self.generate_image,
                _lenient(ImageRequest),
                ImageResponse.SerializeToString,
            ),
            "GenerateImageVariations": grpc.unary_stream_rpc_method_handler(
                self.generate_variations,
                _lenient(ImageVariationsRequest),
                ImageResponse.SerializeToString,
            ),
            "GetImageModels": grpc.unary_unary_rpc_method_handler(
                self.get_models,
                ModelRequest.FromString,
                ModelResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(NAME, methods)

    async def generate_image(self, asked: ImageRequest | None, context: Context) -> ImageResponse:
        """One picture."""
        async with self._gate.entered(context) as by:
            await _in_time(context)
            call = told.new_id()
            if asked is None:
                return ImageResponse(request_id=call, error=_INVALID + _UNREADABLE)
            try:
                job = await _ours(self._limner.draw(order(asked), key=_key(context), by=by), call)
                context.set_trailing_metadata(told.facts([job]))
                return await _ours(self._answer(job.id, job, told.notes(job), _INVALID), call)
            except LimnerError as error:
                return told.failure(call, error, model_of(asked), _INVALID)

    async def generate_variations(
        self, asked: ImageVariationsRequest | None, context: Context
    ) -> AsyncIterator[ImageResponse]:
        """All are ordered at once, and told in the order of their seeds, each as soon as it is ready."""
        async with self._gate.entered(context) as by:
            await _in_time(context)
            call = told.new_id()
            if asked is None:
                yield ImageResponse(request_id=f"{call}-0", error=_INVALID_BASE + _UNREADABLE)
                return
            try:
                base, share, key = order(asked.base_request), strength(asked), _key(context)
            except LimnerError as error:
                yield told.failure(f"{call}-0", error, model_of(asked.base_request), _INVALID_BASE)
                return
            ordered = await self._order(base, many(asked), key, by, call)
            context.set_trailing_metadata(told.facts([one for one in ordered if isinstance(one, Job)]))
            for index, one in enumerate(ordered):
                said = {"variation_index": str(index), "variation_strength": f"{share:.2f}"}
                yield await self._variation(one, f"{call}-{index}", asked.base_request, said)

    async def get_models(self, _asked: ModelRequest, context: Context) -> ModelResponse:
        """What can be asked for."""
        async with self._gate.entered(context):
            return await listed(self._limner)

    async def _order(
        self, base: GenerateRequest, count: int, key: str | None, by: str, call: str
    ) -> list[Job | LimnerError]:
        """A job for each variation, or why there is none. Where Limner draws the first seed, the others
        follow it."""
        ordered: list[Job | LimnerError] = []
        first_seed = base.seed
        for index in range(count):
            its_key = None if key is None else f"{key}/{index}"
            try:
                wish = varied(base, first_seed, index)
                job = await _ours(self._limner.generate(wish, key=its_key, by=by), call)
            except LimnerError as error:
                ordered.append(error)
                continue
            ordered.append(job)
            if first_seed is None and job.request.seed is not None:
                first_seed = job.request.seed - index
        return ordered

    async def _variation(
        self, one: Job | LimnerError, request_id: str, asked: ImageRequest, said: dict[str, str]
    ) -> ImageResponse:
        """Its message once it has ended."""
        try:
            if isinstance(one, LimnerError):
                raise one
            job = await _ours(self._limner.wait(one.id), request_id)
            noted = told.notes(job, {"variation_strength": _NO_PICTURE})
            return await _ours(self._answer(request_id, job, said | noted, _INVALID_BASE), request_id)
        except LimnerError as error:
            return told.failure(request_id, error, model_of(asked), _INVALID_BASE)

    async def _answer(self, request_id: str, job: Job, more: dict[str, str], prefix: str) -> ImageResponse:
        """An ended job's message."""
        if job.state != "succeeded":
            return told.ended_badly(request_id, job, prefix)
        return told.picture(request_id, job, await self._limner.open(job.images[0]), more)


def _lenient(kind: type[M]) -> Callable[[bytes], M | None]:
    """Reads a message; None for one that cannot be read, which is then refused like any other bad request."""

    def read(data: bytes) -> M | None:
        try:
            return kind.FromString(data)
        except DecodeError:
            return None

    return read


def _key(context: Context) -> str | None:
    """The idempotency key. Raises `InvalidRequest`."""
    key = value(context.invocation_metadata(), "idempotency-key")
    if key is not None and not (len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequest(f"idempotency-key must be 1 to {MAX_KEY} printable ASCII characters")
    return key


async def _in_time(context: Context) -> None:
    """Order nothing for a client whose deadline has passed already."""
    left = context.time_remaining()
    if left is not None and left <= 0:
        await context.abort(
            grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before anything was ordered"
        )


async def _ours(work: Awaitable[T], call: str) -> T:
    """The outcome. Raises `LimnerError` only: these clients read failures in the message."""
    try:
        return await work
    except InvalidRequest as error:
        raise in_their_words(error) from error
    except LimnerError:
        raise
    except Exception as error:
        _log.exception("call failed", request=call)
        raise Mishap(f"Limner failed here; its log tells more under request {call}") from error
