"""A Limner that draws in memory: the doors are tested without jobs, store or engine."""

import base64
import hashlib
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Self
from uuid import UUID

import anyio
from pydantic import JsonValue

from limner.catalog.model import Model, Price, Sizes
from limner.core.errors import Conflict, InvalidRequest, LimnerError, NotFound
from limner.core.events import Ended, JobEvent, Message, Progress
from limner.core.job import Artifact, Attempt, Confirmation, Failure, Job, JobState, Receipt, Recipe
from limner.core.quote import Note, Quote
from limner.core.request import EXTENSION, GenerateRequest, Operation
from limner.imaging.sniff import InvalidImage, sniff
from limner.inputs import Input
from limner.moderating import Judged, Judgement, Moderation

NOW = 1_795_132_800.0
OWN = Model(
    id="house",
    name="House",
    description="The model of these tests",
    provider="local",
    ref="house-v1",
    tier="fast",
    aliases=("house-small",),
    stands_in_for=("dall-e-2", "dall-e-3", "gpt-image-1"),
    sizes=Sizes(default=(256, 256), max_side=512, multiple_of=8),
    max_count=10,
    styles=("watercolor", "pixel art"),
    price=Price(usd=Decimal(0), unit="image", source="free", read_on="2026-11-20"),
)
THEIRS = OWN.model_copy(update={"provider": "easel", "price": None, "styles": ()})
JUDGEMENT = Moderation(
    id="modr-1",
    model="omni-moderation-2024-09-26",
    results=[
        Judgement(
            flagged=True,
            categories={"sexual": False, "violence": True},
            category_scores={"sexual": 0.01, "violence": 0.9},
            category_applied_input_types={"sexual": ["text"], "violence": ["text"]},
        )
    ],
)
PREVIEWS = (b"\x89PNG preview 1", b"\x89PNG preview 2", b"\x89PNG preview 3", b"\x89PNG preview 4")


def png(width: int, height: int, shade: int) -> bytes:
    """A real PNG, whole in one shade of grey."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\x00" + bytes([shade]) * width) * height, 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class FakeProjects:
    """Every project is called by its id."""

    async def slug(self, identity: UUID, by: str) -> str:
        return str(identity)


class FakeLimner:
    """Every order succeeds at once, unless `refuse` (at acceptance) or `fail` (the job's end) is set."""

    def __init__(self) -> None:
        self.projects = FakeProjects()
        self.reset()

    def reset(self) -> None:
        """As if just made: the app over it is costly to build and shared by the tests."""
        self.orders: list[GenerateRequest] = []
        self.refuse: LimnerError | None = None
        self.fail: Failure | None = None
        self.end_as: JobState = "succeeded"
        self.asks: Confirmation | None = None
        self.notes: tuple[Note, ...] = ()
        self.reasons: list[str] = []
        self.entered = 0
        self.opened = 0
        self.breaks: LimnerError | None = None
        self.hangs = False
        self.left = anyio.Event()
        self.operations: frozenset[Operation] = frozenset({"generate", "edit", "inpaint", "variation"})
        self.options: dict[str, dict[str, JsonValue]] = {}
        self.kept: list[bytes] = []
        self.judged: list[Judged] = []
        self._jobs: dict[str, Job] = {}
        self._blobs: dict[str, bytes] = {}
        self._keys: dict[str, tuple[str, str]] = {}

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.entered -= 1

    def who(self, key: str | None) -> str:
        return "local"

    def models(self) -> tuple[Model, ...]:
        return (OWN, THEIRS)

    def listings(self) -> tuple[()]:
        return ()

    def set_up(self) -> frozenset[str]:
        return frozenset({"local"})

    async def ready(self) -> list[str]:
        return self.reasons

    async def estimate(self, request: GenerateRequest) -> Quote:
        self._check(request)
        width, height = request.size or OWN.sizes.default
        return Quote(
            model=OWN.id,
            provider=OWN.provider,
            tier=OWN.tier,
            width=width,
            height=height,
            steps=8,
            count=request.count,
            price_usd=Decimal(0),
            seconds=1.5,
            notes=self.notes,
            alternatives=(),
            passed_over=(),
        )

    async def generate(self, request: GenerateRequest, *, key: str | None = None, by: str = "local") -> Job:
        assert by == "local"
        self._check(request)
        if key is not None and key in self._keys:
            job_id, fingerprint = self._keys[key]
            if fingerprint != request.fingerprint():
                raise Conflict(f"Idempotency-Key {key!r} was used before with another request")
            return self._jobs[job_id]
        self.orders.append(request)
        job = self._draw(request)
        if key is not None:
            self._keys[key] = (job.id, request.fingerprint())
        return job

    async def draw(self, request: GenerateRequest, *, key: str | None = None, by: str = "local") -> Job:
        return await self.generate(request, key=key, by=by)

    @asynccontextmanager
    async def watch(self, job_id: str, after: int = 0) -> AsyncIterator[AsyncIterator[Message]]:
        job = await self.read(job_id)
        try:
            yield self._messages(job, after)
        finally:
            self.left.set()

    async def _messages(self, job: Job, after: int) -> AsyncIterator[Message]:
        steps: tuple[JobState, ...] = ("queued", "running")
        for seq, state in enumerate(steps, 1):
            if seq > after:
                yield JobEvent(job_id=job.id, seq=seq, type=state, state=state, at=NOW)
        if self.hangs:
            await anyio.sleep_forever()
        for done, preview in enumerate(PREVIEWS, 1):
            yield Progress(job.id, done / 4, step=done, steps=4, preview=preview, eta_s=4.0 - done)
        if self.breaks is not None:
            raise self.breaks
        if after < 3 and job.state == "succeeded":
            yield JobEvent(job_id=job.id, seq=3, type="succeeded", state="succeeded", at=NOW)
        yield Ended(job)

    async def cancel(self, job_id: str) -> Job:
        job = await self.read(job_id)
        self._jobs[job_id] = job.model_copy(update={"cancel_requested": True})
        return self._jobs[job_id]

    async def read(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise NotFound(f"no job {job_id!r}")
        return self._jobs[job_id]

    async def jobs(
        self,
        *,
        state: JobState | None = None,
        project: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Job]:
        found = [
            job
            for job in reversed(self._jobs.values())
            if state in (None, job.state)
            and project in (None, job.request.project)
            and (before is None or job.id < before)
        ]
        return found[:limit]

    async def image(self, image_id: str) -> Artifact:
        return self._find(lambda image: image.id == image_id)

    async def image_at(self, project: str, provider: str, file: str) -> Artifact:
        return self._find(
            lambda image: (image.project, image.provider, image.file) == (project, provider, file)
        )

    async def open(self, artifact: Artifact) -> bytes:
        self.opened += 1
        return self._blobs[artifact.digest]

    async def part(self, artifact: Artifact, start: int, size: int) -> bytes:
        self.opened += start == 0
        return self._blobs[artifact.digest][start : start + size]

    async def thumbnail(self, artifact: Artifact, side: int = 256) -> bytes:
        return b"RIFF%d WEBP of %s" % (side, artifact.digest[:8].encode())

    def meant(self, request: GenerateRequest) -> tuple[Model, ...]:
        self._check(request)
        return (OWN.model_copy(update={"operations": self.operations, "options": self.options}),)

    async def keep(self, data: bytes) -> Input:
        self.kept.append(data)
        try:
            kind = sniff(data)
        except InvalidImage as error:
            raise InvalidRequest(f"the picture cannot be read: {error}", "inputs") from error
        digest = hashlib.sha256(data).hexdigest()
        return Input(
            digest=digest, size_bytes=len(data), width=kind.width, height=kind.height, format=kind.format
        )

    async def keep_from(self, url: str) -> Input:
        if not url.startswith("data:image/png;base64,"):
            raise InvalidRequest(f"the picture's address {url[:80]!r} is private; not asked", "inputs")
        return await self.keep(base64.b64decode(url.partition(",")[2]))

    async def moderate(self, what: Judged) -> Moderation:
        if self.refuse is not None:
            raise self.refuse
        self.judged.append(what)
        return JUDGEMENT

    def _find(self, suits) -> Artifact:
        for job in self._jobs.values():
            for image in job.images:
                if suits(image):
                    return image
        raise NotFound("no such image")

    def _check(self, request: GenerateRequest) -> None:
        if self.refuse is not None:
            raise self.refuse
        if request.model is not None and not OWN.known_as(request.model):
            raise InvalidRequest(f"unknown model {request.model[:80]!r}; known: house", "model")
        if request.provider not in (None, "local"):
            raise InvalidRequest("unknown provider; known: local", "provider")
        if request.style is not None and request.style not in OWN.styles:
            raise InvalidRequest("unknown style; known: watercolor, pixel art", "style")
        if request.size and any(side % 8 for side in request.size):
            raise InvalidRequest("width and height must be multiples of 8", "width")

    def _draw(self, request: GenerateRequest) -> Job:
        number = len(self._jobs) + 1
        job_id = f"job-{number:04d}"
        images = (
            tuple(self._image(request, job_id, index) for index in range(request.count))
            if self.end_as == "succeeded"
            else ()
        )
        attempt = Attempt(
            n=1,
            state="settled",
            provider="local",
            account="local",
            model=OWN.id,
            why="first choice",
            how="direct",
            price_usd=Decimal(0),
            submitted_at=NOW,
        )
        job = Job(
            id=job_id,
            state=self.end_as,
            request=request,
            created_at=NOW,
            started_at=NOW,
            finished_at=NOW + 1,
            tries=1,
            images=images,
            error=self.fail,
            confirmation=self.asks,
            receipt=Receipt(attempts=(attempt,), cost_usd=Decimal("0.0040"), notes=self.notes, seconds=1.0),
        )
        self._jobs[job_id] = job
        return job

    def _image(self, request: GenerateRequest, job_id: str, index: int) -> Artifact:
        width, height = request.size or OWN.sizes.default
        seed = (request.seed or 0) + index
        data = png(width, height, seed % 256)
        digest = hashlib.sha256(data).hexdigest()
        self._blobs[digest] = data
        sent = request.model_copy(update={"seed": seed, "width": width, "height": height})
        return Artifact(
            id=f"image-{job_id[4:]}-{index}",
            job_id=job_id,
            index=index,
            digest=digest,
            size_bytes=len(data),
            width=width,
            height=height,
            format=request.format,
            seed=seed,
            project=request.project,
            provider="local",
            model=OWN.id,
            file=f"{job_id}-{index}.{EXTENSION[request.format]}",
            created_at=NOW,
            recipe=Recipe(
                limner="0.1.0", prompt=request.prompt, request=sent, provider="local", model=OWN.id
            ),
        )
