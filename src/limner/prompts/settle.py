"""What is sent for what was asked: the rewriting a request wants, done before it is planned or accepted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Protocol
from weakref import WeakValueDictionary

from limner.core.errors import InvalidRequest, NotFound
from limner.core.prompting import Prompting, Rewritten
from limner.core.request import MAX_PROMPT, GenerateRequest, says_something
from limner.core.shelf import Experiment, Template
from limner.prompts import templates
from limner.prompts.draft import HERE, Asking, Draft, Expecting, Help
from limner.prompts.enhance import NEGATIVE, SHORT, enhanced
from limner.prompts.limits import THRESHOLD
from limner.prompts.rewriter import Rewriter
from limner.prompts.styles import Style, style

_OFF = "rewriting is switched off here (prompt_rewriting); the prompt is sent as it came"


class Library(Protocol):
    """Where templates and tests of them are kept."""

    async def template(self, name: str, version: int | None = None) -> Template:
        """Raises `NotFound`."""

    async def experiment(self, name: str) -> Experiment:
        """Raises `NotFound`."""


class Settling:
    """Rewrites requests. Those who order with the same key wait for each other, so that the language model is
    asked once."""

    def __init__(self, rewriter: Rewriter, library: Library) -> None:
        self._rewriter = rewriter
        self._library = library
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def alone(self, by: str, key: str | None) -> AsyncIterator[None]:
        """One order at a time for each caller's key."""
        if key is None:
            yield
            return
        turn = self._turns.setdefault((by, key), asyncio.Lock())
        async with turn:
            yield

    async def settle(self, request: GenerateRequest, identity: str) -> GenerateRequest:
        """The request as it is sent for the job `identity`, with what was done to its prompt. A model that is
        away changes nothing, and is told. Raises `InvalidRequest` and `StorageError`."""
        return await self._settled(request, Asking(self._rewriter), identity)

    async def expect(self, request: GenerateRequest) -> GenerateRequest:
        """The same for an estimate: the language model is not asked, and what it will be asked is told."""
        return await self._settled(request, Expecting(self._rewriter.model), None)

    async def _settled(self, request: GenerateRequest, model: Help, identity: str | None) -> GenerateRequest:
        wish = request.prompting
        if wish is None or wish.done is not None or not says_something(request.prompt):
            return request
        draft = Draft(request.prompt, request.negative_prompt)
        done = Rewritten(prompt=request.prompt, negative_prompt=request.negative_prompt)
        if not self._rewriter.on:
            if wish != Prompting():
                draft.stays("optimize", HERE, _OFF)
            return _with(request, draft, done)
        chosen = None if wish.style_preset is None else style(wish.style_preset)
        template = await self._template(wish, identity)
        _fill(draft, wish, template)
        if wish.context:
            await model.sum_up(draft, wish.context)
        improved = _by_model(wish, draft) and await model.improve(draft)
        words = enhanced(draft.prompt).removeprefix(draft.prompt) if wish.enhance and not improved else ""
        manner = "" if chosen is None else f", {chosen.positive}"
        if wish.optimize and len(draft.prompt) > THRESHOLD:
            await model.shorten(draft, room=len(words) + len(manner))
        _add(draft, words, chosen)
        if not request.policy.strict:  # a strict request is refused where a model takes no negative prompt
            _avoid(draft, wish, chosen)
        named = {
            "style_preset": None if chosen is None else chosen.name,
            "template": None if template is None else template.ref,
            "experiment": wish.experiment,
        }
        return _with(request, draft, done.model_copy(update=named))

    async def _template(self, wish: Prompting, identity: str | None) -> Template | None:
        """The template that is named, or drawn for the job. Raises `InvalidRequest`."""
        if wish.template is not None and wish.experiment is not None:
            raise _invalid("experiment", "chooses the template itself; give one or the other")
        if wish.template is None and wish.experiment is None:
            return None
        try:
            if wish.experiment is None:
                return await self._library.template(*templates.ref(wish.template or ""))
            arm = drawn(await self._library.experiment(wish.experiment), identity)
            return await self._library.template(*templates.ref(arm))
        except NotFound as error:
            raise _invalid("template" if wish.experiment is None else "experiment", f"{error}") from error


def drawn(experiment: Experiment, identity: str | None) -> str:
    """The template a job gets: always the same for the same job, each as often as the others. The first where
    the test is over, or there is no job."""
    if experiment.ended_at is not None or identity is None:
        return experiment.arms[0]
    digest = sha256(f"{experiment.name}:{identity}".encode()).digest()
    return experiment.arms[int.from_bytes(digest[:8], "big") % len(experiment.arms)]


def _fill(draft: Draft, wish: Prompting, template: Template | None) -> None:
    if template is None:
        if wish.variables:
            raise _invalid("variables", "are for a template, and none is named")
        return
    filled = templates.render(template.text, draft.prompt, wish.variables)
    draft.becomes(filled, "template", HERE, f"put into the template {template.ref}")
    if draft.negative is None and template.negative_prompt:
        draft.refuses(template.negative_prompt, f"the negative prompt of {template.ref} is used")


def _by_model(wish: Prompting, draft: Draft) -> bool:
    return bool(wish.enhance and wish.by_model) and len(draft.prompt) <= SHORT


def _add(draft: Draft, words: str, chosen: Style | None) -> None:
    """What is put behind the prompt."""
    manner = "" if chosen is None else f", {chosen.positive}"
    if len(draft.prompt) + len(words) + len(manner) > MAX_PROMPT:
        draft.stays("style", HERE, "no words were added: the prompt would be too long")
        return
    if words:
        draft.becomes(draft.prompt + words, "enhance", HERE, f"{words.removeprefix(', ')!r} was added")
    if chosen is not None:
        said = f"{chosen.positive!r} was added for the style {chosen.name}"
        draft.becomes(draft.prompt + manner, "style", HERE, said)


def _avoid(draft: Draft, wish: Prompting, chosen: Style | None) -> None:
    """What joins the negative prompt."""
    if wish.negative_default and draft.negative is None:
        draft.refuses(NEGATIVE, f"the usual negative prompt is used: {NEGATIVE}")
    if chosen is not None:
        joined = ", ".join(filter(None, (draft.negative, chosen.negative)))
        if len(joined) <= MAX_PROMPT:
            said = f"{chosen.negative!r} joined the negative prompt for the style {chosen.name}"
            draft.refuses(joined, said)


def _with(request: GenerateRequest, draft: Draft, done: Rewritten) -> GenerateRequest:
    """What was said before is not kept, and neither are the wishes: what was done is."""
    if not draft.steps:
        return request.model_copy(update={"prompting": None})
    told = done.model_copy(update={"steps": tuple(draft.steps)})
    changes = {"prompt": draft.prompt, "negative_prompt": draft.negative}
    return request.model_copy(update=changes | {"prompting": Prompting(done=told)})


def _invalid(name: str, said: str) -> InvalidRequest:
    field = f"prompting.{name}"
    return InvalidRequest(f"{field}: {said}", field)
