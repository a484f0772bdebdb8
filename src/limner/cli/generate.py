"""`limner generate`: one order from the prompt to the saved file."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from pydantic import ValidationError

from limner.app import Limner
from limner.cli import files, session, view, words
from limner.cli.remote import by_code
from limner.config import Settings
from limner.core.errors import Canceled, InvalidRequest, LimnerError, StorageError
from limner.core.events import Ended
from limner.core.job import Job
from limner.core.request import MAX_PROMPT, Format, GenerateRequest

_CANCEL_S = 10.0


class Asked(LimnerError):
    """The job waits for a person to decide."""

    code = "needs_confirmation"


_UNSENT = "0" * 64
"""Names a picture until it was handed over and its digest is known."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line says, beside the request itself."""

    out: str | None
    form: Format | None
    as_json: bool
    quote: bool
    debug: bool
    inputs: tuple[Path, ...] = ()
    mask: Path | None = None


def generate(fields: dict[str, Any], wish: Wish) -> None:
    """Draw, show how it goes, save, and print the receipt."""
    pictures = [files.picture(path) for path in (*wish.inputs, *([wish.mask] if wish.mask else []))]
    named = {"inputs": (_UNSENT,) * len(wish.inputs), "mask": _UNSENT if wish.mask else None}
    request = requested(fields | named | {"prompt": spoken(fields["prompt"])})
    if wish.quote:
        chosen = session.settings(debug=wish.debug).settings
        session.run(lambda: _quote(chosen, request, pictures, as_json=wish.as_json))
        return
    where, form = files.place(wish.out, wish.form, request.count)
    request = request.model_copy(update={"format": form})
    chosen = session.settings(debug=wish.debug).settings
    job, paths = session.run(lambda: _draw_and_save(chosen, request, pictures, where))
    report(job, paths, as_json=wish.as_json)


def requested(fields: dict[str, Any]) -> GenerateRequest:
    """The request, without what was not given. Raises InvalidRequest in the words of the options."""
    try:
        return GenerateRequest(**{name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        raise words.refusal(error) from None


def report(job: Job, paths: Sequence[Path], *, as_json: bool) -> None:
    """The saved paths on stdout, the receipt on stderr; or all as one JSON object on stdout."""
    if as_json:
        words.print_json(job.model_dump(mode="json") | {"saved": [str(path) for path in paths]})
        return
    for path in paths:
        sys.stdout.write(f"{path}\n")
    sys.stdout.flush()
    view.err().print(view.receipt(job))


def finished(job: Job) -> Job:
    """The job when it succeeded. Raises what ended it."""
    match job.state:
        case "succeeded":
            return job
        case "canceled":
            raise Canceled("the job was cancelled before it ended")
        case "needs_confirmation" if job.confirmation is not None:
            said = " or ".join(f"`limner jobs decide {job.id} {one}`" for one in job.confirmation.choices)
            raise Asked(f"{job.confirmation.message}\nSay {said}")
        case _:
            failure = job.error
            raise (
                by_code(failure.code, failure.message)
                if failure
                else LimnerError(f"the job ended as {job.state}")
            )


async def drawn(door: session.Door, request: GenerateRequest) -> Job:
    """Order and watch to the end. Interrupted, it cancels the job, which then costs nothing more."""
    with anyio.CancelScope(shield=True):  # an order that was placed has an id we must know to cancel it
        job = await door.generate(request)
    try:
        with view.watching() as watcher:
            async with door.watch(job.id) as messages:
                async for message in messages:
                    watcher.show(message)
                    if isinstance(message, Ended):
                        return message.job
    except anyio.get_cancelled_exc_class():
        with anyio.move_on_after(_CANCEL_S, shield=True):
            await _stop(door, job.id)
        raise
    return await door.read(job.id)


async def _stop(door: session.Door, job_id: str) -> None:
    """Stop the order and see it end."""
    await door.cancel(job_id)
    async with door.watch(job_id) as messages:
        async for message in messages:
            if isinstance(message, Ended):
                words.warn(f"job {job_id} ended as {message.job.state}")


async def saved(door: session.Door, job: Job, where: files.Place, settings: Settings) -> list[Path]:
    """Write every picture. What cannot be written stays in Limner's own storage, and the error says where."""
    paths = []
    for image in job.images:
        data = await door.open(image)
        try:
            paths.append(where.save(image.index, data))
        except OSError as error:
            home = settings.blobs if isinstance(door, Limner) else f"{door.url}{image.path}"
            raise StorageError(
                f"{where.folder.absolute()} cannot be written: {error.strerror}. The picture is not lost: "
                f"it is kept in {home}; save it elsewhere with `limner jobs {job.id} --out PATH`"
            ) from None
    return paths


def spoken(text: str) -> str:
    """`-` reads stdin, UTF-8, without the line's end."""
    if text != "-":
        return text
    data = sys.stdin.buffer.read(4 * MAX_PROMPT + 4)
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the prompt on stdin is not UTF-8 text (byte {error.start})", "prompt"
        ) from None


async def _sent(door: session.Door, request: GenerateRequest, pictures: Sequence[bytes]) -> GenerateRequest:
    """The request with its pictures handed over and named by their digests."""
    if not pictures:
        return request
    digests = [(await door.keep(data)).digest for data in pictures]
    mask = digests.pop() if request.mask else None
    return request.model_copy(update={"inputs": tuple(digests), "mask": mask})


async def _quote(
    settings: Settings, request: GenerateRequest, pictures: Sequence[bytes], *, as_json: bool
) -> None:
    async with session.entered(settings, idle=True) as door:
        promised = await door.estimate(await _sent(door, request, pictures))
    if as_json:
        words.print_json(promised.model_dump(mode="json"))
    else:
        view.out().print(view.quote(promised))
        sys.stdout.write(f"--accept {promised.token}\n")  # not folded like the rest: it is to be copied


async def _draw_and_save(
    settings: Settings, request: GenerateRequest, pictures: Sequence[bytes], where: files.Place
) -> tuple[Job, list[Path]]:
    async with session.entered(settings) as door:
        job = finished(await drawn(door, await _sent(door, request, pictures)))
        return job, await saved(door, job, where, settings)
