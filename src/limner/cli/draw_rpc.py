"""`limner generate --host --port`: one picture from a gRPC server, as clients before Limner asked for it."""

import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from uuid import uuid4

import grpc

from limner.cli import files, session, words
from limner.core.errors import InvalidRequest, LimnerError, NoEntry, StorageError, TimedOut, Unavailable
from limner.rpc.starweave_pb2 import ImageRequest, ImageResponse, ImageSettings
from limner.rpc.starweave_pb2_grpc import ImageGenerationServiceStub

DEADLINE_S = 60.0
HOST, PORT = "localhost", 50051
_MAX_MESSAGE_BYTES = 100 << 20
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?")


@dataclass(frozen=True, slots=True)
class Ask:
    """What the command line says; None: what these clients send when nothing is said."""

    prompt: str
    out: str | None
    model: str | None
    width: int | None
    height: int | None
    steps: int | None
    guidance_scale: float | None
    seed: int | None
    style: str | None
    host: str | None
    port: int | None
    as_json: bool
    debug: bool


def check(fields: Mapping[str, object], *, form: str | None, pictures: bool, quote: bool) -> None:
    """Refuse what the protocol has no words for: nothing is left out silently. Raises `InvalidRequest`."""
    usual = {"prompt", "model", "width", "height", "steps", "guidance_scale", "seed", "style"}
    policy = {"strict": False, "substitutes": False, "fallback": True}
    plain: dict[str, object] = {"count": 1, "operation": "generate", "policy": policy}
    given = [name for name, value in fields.items() if value not in (None, plain.get(name))]
    unknown = [words.option(name) for name in given if name not in usual]
    unknown += ["--format"] * (form not in (None, "png")) + ["--input"] * pictures + ["--quote"] * quote
    if unknown:
        raise InvalidRequest(f"{', '.join(unknown)} cannot be said over gRPC; leave --host and --port out")


def draw(ask: Ask) -> None:
    """Ask, save, and print where. Raises `LimnerError`."""
    where, form = files.place(ask.out or "image.png", None, 1)
    if form != "png":
        raise InvalidRequest("--out: over gRPC pictures come as PNG; name a .png file", "out")
    answer = _asked(ask)
    try:
        saved = where.save(0, answer.image_data)
    except OSError as error:
        raise StorageError(f"{where.folder.absolute()} cannot be written: {error.strerror}") from None
    _report(answer, saved, as_json=ask.as_json)


def request(ask: Ask) -> ImageRequest:
    """The message. Raises `InvalidRequest` for numbers that do not fit into it."""
    try:
        settings = ImageSettings(
            width=512 if ask.width is None else ask.width,
            height=512 if ask.height is None else ask.height,
            steps=20 if ask.steps is None else ask.steps,
            guidance_scale=7.5 if ask.guidance_scale is None else ask.guidance_scale,
            seed=secrets.randbelow(1_000_000) + 1 if ask.seed is None else ask.seed,
            style=ask.style or "",
        )
        return ImageRequest(prompt=ask.prompt, model=ask.model or "", settings=settings)
    except ValueError:
        raise InvalidRequest("a number is too large, or a text is not Unicode") from None


def target(host: str | None, port: int | None) -> str:
    """`host:port`. Raises `InvalidRequest`."""
    bare, number = (host or HOST).strip("[]"), PORT if port is None else port
    if not _HOST.fullmatch(bare):
        raise InvalidRequest("--host must be a host name or an IP address, without a scheme", "host")
    if not 1 <= number <= 65535:
        raise InvalidRequest(f"--port must be from 1 to 65535, not {number}", "port")
    return f"[{bare}]:{number}" if ":" in bare else f"{bare}:{number}"


def _asked(ask: Ask) -> ImageResponse:
    place = target(ask.host, ask.port)
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(place, options) as channel:
        stub = ImageGenerationServiceStub(channel)  # type: ignore[no-untyped-call]  # generated code
        try:
            answer: ImageResponse = stub.GenerateImage(
                request(ask), timeout=DEADLINE_S, metadata=_metadata(ask)
            )
        except grpc.RpcError as error:
            raise _failure(cast("grpc.Call", error), place) from None  # every such error is its call, too
    if answer.error:
        raise LimnerError(answer.error)
    return answer


def _metadata(ask: Ask) -> tuple[tuple[str, str], ...]:
    """A key of its own, so that one command is one order; and, on this machine, the key to the door."""
    callers = session.settings(debug=ask.debug).settings.callers
    key = next(iter(callers.values()), None) if _here(ask.host) else None
    door = () if key is None else (("authorization", f"Bearer {key}"),)
    return (("idempotency-key", str(uuid4())), *door)


def _here(host: str | None) -> bool:
    bare = (host or HOST).strip("[]")
    try:
        return bare == HOST or ip_address(bare).is_loopback
    except ValueError:
        return False


def _failure(call: grpc.Call, place: str) -> LimnerError:
    """What the transport said."""
    status, said = call.code(), words.plain(str(call.details()))[:300]
    match status:
        case grpc.StatusCode.UNAVAILABLE:
            return Unavailable(f"no gRPC server answers at {place}; `limner serve` starts one ({said})")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimedOut(f"no picture within {DEADLINE_S:g} s; if it was ordered, `limner jobs` has it")
        case grpc.StatusCode.UNAUTHENTICATED:
            return NoEntry(f"{place}: {said}")
        case _:
            return LimnerError(f"{place}: {status.name}: {said}")


def _report(answer: ImageResponse, saved: Path, *, as_json: bool) -> None:
    told = answer.metadata
    if as_json:
        facts = {
            "request_id": answer.request_id,
            "format": answer.format,
            "model": told.model,
            "seed": told.seed,
            "generation_time_ms": told.generation_time_ms,
            "debug_info": dict(told.debug_info),
        }
        words.print_json(facts | {"saved": [str(saved)]})
        return
    sys.stdout.write(f"{saved}\n")
    words.warn(f"{told.model}, seed {told.seed}, {told.generation_time_ms / 1000:.1f} s")
    if "notes" in told.debug_info:
        words.warn(told.debug_info["notes"])
