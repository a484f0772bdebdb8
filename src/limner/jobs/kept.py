"""Raw answers that are kept: small ones in the journal, others as blobs or as the files made of them."""

from dataclasses import dataclass, replace

from limner.blobs.store import Blobs
from limner.core.errors import NotFound, Unknown
from limner.jobs.answer import unpack
from limner.providers.base import Done
from limner.store.store import Store


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer with its pictures; `in_journal` when no blob of its own holds it."""

    done: Done
    in_journal: bool


async def kept_answer(store: Store, blobs: Blobs, attempt_id: str) -> Kept | None:
    """The answer to an attempt, None when none is kept. Raises `Malformed` for one that cannot be read, and
    `Unknown` where a file of it is gone: it was bought."""
    data = await blobs.kept(attempt_id)
    in_journal = data is None
    data = data or await store.answer(attempt_id)
    if not data:
        return None
    done, files = unpack(data)
    try:
        images = [await blobs.get(digest) for digest in files]
    except NotFound as error:
        raise Unknown(f"the answer came, and a picture of it is gone from storage: {error}") from error
    return Kept(replace(done, images=(*done.images, *images)), in_journal)
