"""The seed of a job whose caller gave none: as good as random, and known from the job's id."""

import hashlib

from limner.core.request import GenerateRequest

_SEEDS = 2**31 - 100
"""A drawn seed, and those that follow it in one order, fit the int32 that some clients read them into. Never
to change: jobs that are on their way know by it what was drawn for them."""


def drawn_seed(job_id: str) -> int:
    """The seed a job draws."""
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:8]) % _SEEDS


def as_asked(request: GenerateRequest, job_id: str) -> GenerateRequest:
    """The job's request without a seed that was drawn: nobody asked for it, so no model is passed over for
    taking none, and no note tells of it."""
    if request.seed != drawn_seed(job_id):
        return request
    return request.model_copy(update={"seed": None})
