"""The tools: each reads its arguments, calls one verb, and answers in words, pictures and JSON."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from mcp import types
from pydantic import BaseModel, ValidationError

from limner.core.errors import LimnerError
from limner.core.job import Artifact, Job
from limner.core.money import show
from limner.core.request import GenerateRequest, Operation
from limner.mcp import answers, arguments, searching
from limner.mcp.buying import Wanted, buy, refresh
from limner.mcp.follow import Report, follow
from limner.mcp.pictures import named
from limner.mcp.purse import Purse
from limner.mcp.verbs import Verbs

_log = structlog.get_logger()
_PREVIEWS = 4
"""Pictures of one answer that are shown small; all are linked."""
_SIDE = 256
A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: who calls, what the session may spend, and where progress is told."""

    by: str
    purse: Purse
    report: Report


@dataclass(frozen=True, slots=True)
class _Tool:
    told: types.Tool
    takes: type[BaseModel]
    does: Callable[[Any, Asked], Awaitable[types.CallToolResult]]  # takes what `takes` reads


class Tools:
    """All tools over one Limner."""

    def __init__(self, limner: Verbs) -> None:
        self._limner = limner
        self._tools: dict[str, _Tool] = {one.told.name: one for one in self._all()}

    @property
    def listed(self) -> list[types.Tool]:
        """What a model is told of them."""
        return [one.told for one in self._tools.values()]

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    async def call(self, name: str, given: Mapping[str, Any], asked: Asked) -> types.CallToolResult:
        """The tool's answer; what goes wrong is told to the model, so that it can mend it."""
        tool = self._tools[name]
        try:
            return await tool.does(tool.takes.model_validate(given), asked)
        except ValidationError as error:
            return answers.refusal(arguments.wrong(error))
        except LimnerError as error:
            return answers.refusal(error)
        except Exception:  # noqa: BLE001 - the outermost edge: a fault of ours must not show its insides
            _log.exception("tool failed", tool=name)
            return answers.refusal(LimnerError("Limner failed here; its log tells more"))

    # -- the tools ---------------------------------------------------------------------------------------

    async def _list_models(self, given: arguments.Listing, _asked: Asked) -> types.CallToolResult:
        found = await searching.models(self._limner, given)
        lines = [f"{one.id} at {one.provider}: {one.tier}, {one.price}" for one in found.models]
        more = [f"and {found.more} more"] if found.more else []
        return answers.result(found, "\n".join(lines + more) or "No model fits.")

    async def _quote(self, given: arguments.Quoting, asked: Asked) -> types.CallToolResult:
        request = await self._request(given, given.operation, given.images, given.mask)
        await refresh(self._limner, asked.purse)
        quote = answers.quoted(await self._limner.estimate(request), asked.purse)
        price = show(quote.price_usd)
        said = f"{quote.provider}/{quote.model}: {price} for {quote.count} at {quote.width}x{quote.height}."
        return answers.result(
            quote, " ".join([said, *(f"{one.field}: {one.message}." for one in quote.notes)])
        )

    async def _generate(self, given: arguments.Generating, asked: Asked) -> types.CallToolResult:
        return await self._order(await self._request(given, "generate", (), None), given, asked)

    async def _edit(self, given: arguments.Editing, asked: Asked) -> types.CallToolResult:
        request = await self._request(given, given.operation, given.images, given.mask)
        return await self._order(request, given, asked)

    async def _job(self, given: arguments.Looking, asked: Asked) -> types.CallToolResult:
        job = await self._limner.read(given.job_id)
        return await self._drawn(await follow(self._limner, job, given.wait_s, asked.report), asked)

    async def _cancel(self, given: arguments.Cancelling, asked: Asked) -> types.CallToolResult:
        job = await self._limner.cancel(given.job_id)
        asked.purse.settle(job)
        told = answers.drawn(job, asked.purse)
        if not job.resting:
            said = f"Job {job.id} is being stopped; what its provider still delivers is kept and charged."
            told = told.model_copy(update={"message": said})
        return answers.result(told, told.message)

    async def _search(self, given: arguments.Searching, _asked: Asked) -> types.CallToolResult:
        found, jobs = await searching.pictures(self._limner, given)
        images = [image for job in jobs for image in job.images]
        said = f"{len(images)} found among {found.looked_at} orders."
        return answers.result(found, said, await self._shown(images))

    # -- inside ------------------------------------------------------------------------------------------

    async def _request(
        self,
        given: arguments.Wish,
        operation: Operation,
        images: Sequence[str],
        mask: str | None,
    ) -> GenerateRequest:
        inputs = tuple([await named(self._limner, one, "images") for one in images])
        mask = None if mask is None else await named(self._limner, mask, "mask")
        return arguments.order(given, operation, inputs, mask)

    async def _order(
        self, request: GenerateRequest, given: arguments.Ordering, asked: Asked
    ) -> types.CallToolResult:
        token = given.quote if given.confirm else None
        wanted = Wanted(request, asked.by, given.idempotency_key, token)
        outcome = await buy(self._limner, wanted, asked.purse)
        if isinstance(outcome, answers.Quoted):
            told = answers.unconfirmed(outcome)
            return answers.result(told, told.message)
        return await self._drawn(await follow(self._limner, outcome, given.wait_s, asked.report), asked)

    async def _drawn(self, job: Job, asked: Asked) -> types.CallToolResult:
        asked.purse.settle(job)
        told = answers.drawn(job, asked.purse)
        said = "\n".join([told.message, *(f"{one.field}: {one.message}" for one in told.notes)])
        return answers.result(told, said, await self._shown(job.images), failed=job.state == "failed")

    async def _shown(self, images: Sequence[Artifact]) -> list[types.ContentBlock]:
        """A small preview of the first few, and a link to each."""
        blocks: list[types.ContentBlock] = []
        for n, image in enumerate(images):
            if n < _PREVIEWS:
                blocks.append(answers.preview(await self._limner.thumbnail(image, _SIDE)))
            blocks.append(answers.link(image))
        return blocks

    def _all(self) -> tuple[_Tool, ...]:
        return (
            _tool(
                "list_models",
                "List models",
                "Models that can be asked now, with what they can do and what they cost. Free and local ones "
                "are chosen by themselves when an order names none.",
                _LOOKS,
                (arguments.Listing, answers.Models, self._list_models),
            ),
            _tool(
                "quote",
                "Price of a picture",
                "What an order would cost and how it would be bent. Costs nothing and orders nothing. The "
                "answer's `quote` is what generate and edit take with confirm=true.",
                _LOOKS,
                (arguments.Quoting, answers.Quoted, self._quote),
            ),
            _tool(
                "generate",
                "Draw a picture",
                "Draw pictures from words. What is free is drawn at once. Anything else is first answered "
                "with status needs_confirmation and a quote: ask the person, then call again with the same "
                "arguments, confirm=true and the quote. Never costs more than that, nor more than the "
                "session's ceiling leaves.",
                _ORDERS,
                (arguments.Generating, answers.Drawn, self._generate),
            ),
            _tool(
                "edit",
                "Change a picture",
                "Make a new picture from given ones; the given ones stay as they are. Prices are confirmed "
                "as with generate.",
                _ORDERS,
                (arguments.Editing, answers.Drawn, self._edit),
            ),
            _tool(
                "job",
                "Read an order",
                "An order as it stands, or once it has ended: its pictures, cost and notes. Use it after an "
                "answer with status running.",
                _LOOKS,
                (arguments.Looking, answers.Drawn, self._job),
            ),
            _tool(
                "cancel",
                "Stop an order",
                "Stop an order that has not ended. What its provider still delivers is kept and charged.",
                types.ToolAnnotations(
                    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
                ),
                (arguments.Cancelling, answers.Drawn, self._cancel),
            ),
            _tool(
                "search",
                "Search the gallery",
                "Pictures that were made here, newest first, by words in their prompts, project and model.",
                types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False),
                (arguments.Searching, answers.Found, self._search),
            ),
        )


_LOOKS = types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=True)
_ORDERS = types.ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)


def _tool(
    name: str,
    title: str,
    description: str,
    annotations: types.ToolAnnotations,
    works: tuple[type[A], type[BaseModel], Callable[[A, Asked], Awaitable[types.CallToolResult]]],
) -> _Tool:
    takes, gives, does = works
    told = types.Tool(
        name=name,
        title=title,
        description=description,
        input_schema=_schema(takes, "validation"),
        output_schema=_schema(gives, "serialization"),
        annotations=annotations,
    )
    return _Tool(told, takes, does)


def _schema(model: type[BaseModel], mode: Any) -> dict[str, Any]:  # noqa: ANN401 - pydantic's two words
    """The JSON Schema as short as it can be said: models pay for every word they read."""
    plain: dict[str, Any] = _short(model.model_json_schema(mode=mode), absent=mode == "validation")
    plain.pop("description", None)
    return plain


def _short(schema: Any, *, absent: bool) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Without the titles that pydantic adds. With `absent`, what may be null is what may be left out."""
    if isinstance(schema, list):
        return [_short(one, absent=absent) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if absent and isinstance(kinds := schema.get("anyOf"), list) and kinds[1:] == [{"type": "null"}]:
        schema = kinds[0] | {name: schema[name] for name in schema if name not in ("anyOf", "default")}
    return {
        name: _short(value, absent=absent)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
    }
