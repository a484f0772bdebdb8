"""Looking for models and for pictures that were made."""

from collections.abc import Iterable, Sequence

from limner.catalog.model import Model
from limner.core.job import Job
from limner.core.money import show
from limner.mcp.answers import Found, ListedModel, Models, picture
from limner.mcp.arguments import Listing, Searching
from limner.mcp.verbs import Verbs

_PAGE = 200
_PAGES = 10
_SHOWN = 20
"""Styles and options of a model that are named at most."""


async def pictures(limner: Verbs, wanted: Searching) -> tuple[Found, tuple[Job, ...]]:
    """The newest pictures that fit, whole jobs at a time, and their jobs. Looks at 2,000 orders at most."""
    found: list[Job] = []
    shown = looked_at = 0
    before = wanted.before
    for _ in range(_PAGES):
        page = await limner.jobs(state="succeeded", project=wanted.project, limit=_PAGE, before=before)
        for job in page:
            looked_at += 1
            before = job.id
            if _fits(job, wanted):
                found.append(job)
                shown += len(job.images)
            if shown >= wanted.limit:
                break
        if shown >= wanted.limit or len(page) < _PAGE:
            break
    whole = shown < wanted.limit and len(page) < _PAGE
    images = tuple(picture(image) for job in found for image in job.images)
    return Found(images=images, next=None if whole else before, looked_at=looked_at), tuple(found)


async def models(limner: Verbs, wanted: Listing) -> Models:
    """Models that can be asked now, in the catalog's order."""
    catalog = limner.models()
    entries = catalog if isinstance(catalog, tuple) else await catalog
    usable = {one.name for one in await limner.providers() if one.available}
    fitting = [
        one for one in entries if one.provider in usable and one.retired is None and _suits(one, wanted)
    ]
    return Models(
        models=tuple(_listed(one) for one in fitting[: wanted.limit]),
        more=max(0, len(fitting) - wanted.limit),
    )


def _fits(job: Job, wanted: Searching) -> bool:
    if wanted.model is not None and all(image.model != wanted.model for image in job.images):
        return False
    return _holds([job.request.prompt], wanted.words)


def _suits(model: Model, wanted: Listing) -> bool:
    if wanted.operation is not None and wanted.operation not in model.operations:
        return False
    return _holds((model.id, model.name, model.provider, model.description, *model.aliases), wanted.words)


def _holds(texts: Iterable[str], words: str) -> bool:
    text = " ".join(texts).casefold()
    return all(word in text for word in words.casefold().split())


def _listed(model: Model) -> ListedModel:
    width, height = model.sizes.default
    return ListedModel(
        id=model.id,
        name=model.name,
        provider=model.provider,
        tier=model.tier,
        operations=tuple(sorted(model.operations)),
        price=_price(model),
        max_count=model.max_count,
        default_size=f"{width}x{height}",
        max_side=model.sizes.max_side,
        styles=_few(model.styles),
        options=_few(tuple(model.options)),
    )


def _price(model: Model) -> str:
    if model.price is None:
        return "unknown"
    if model.price.usd == 0 and not model.price.rows:
        return "free"
    about = "about " if model.price.rows else ""
    return f"{about}{show(model.price.usd)} by {model.price.unit}"


def _few(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names[:_SHOWN])
