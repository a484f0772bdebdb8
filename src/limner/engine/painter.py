"""The thread that draws: takes orders from the book, steps pictures, hands back what became of them."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from limner.engine import batch, drawing, passes, pixels, resident
from limner.engine.backend import Backend, Broken, Offer
from limner.engine.batch import Group, Waiting
from limner.engine.book import Book
from limner.engine.drawing import Drawing
from limner.engine.passes import Pass
from limner.engine.protocol import Condition, ModelCard, Order
from limner.engine.resident import Loaded, Need
from limner.engine.values import Conditioning, Pixels, Size

log = logging.getLogger("limner.engine")

MEMORY_BYTES = 4 * 2**30


@dataclass(slots=True)
class _Seat:
    """One picture at the easel; ``drawing`` is nothing before its first step."""

    order: Order
    index: int
    arrived: float
    first: Pass
    spent_s: float = 0.0
    drawing: Drawing | None = None
    shown: bool = False  # decoded in full once: a sketch would be a step back

    @property
    def waiting(self) -> Waiting:
        stage = self.drawing.plan[self.drawing.stage] if self.drawing else self.first
        group = Group(self.order.model, stage.size)
        return Waiting(self.order.id, self.index, group, self.arrived, self.spent_s)


@dataclass(slots=True)
class _Resident:
    backend: Backend
    bytes: int
    used_at: float


class Painter:
    """Draws the orders of one book with the models on offer, in one thread of its own."""

    def __init__(
        self,
        offers: Sequence[Offer],
        book: Book,
        *,
        memory_bytes: int = MEMORY_BYTES,
        on_broken: Callable[[Broken], None] = log.error,
    ) -> None:
        self.condition: Condition = "loading"
        self.reason = ""
        self._offers = {offer.card.id: offer for offer in offers}
        self._book = book
        self._memory_bytes = memory_bytes
        self._on_broken = on_broken
        self._residents: dict[str, _Resident] = {}
        self._seats: dict[tuple[str, int], _Seat] = {}
        self._conditionings: dict[str, Conditioning] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="painter", daemon=True)

    def start(self) -> None:
        """Begin: see that the first model is whole, then draw. It is loaded with its first order: an engine
        that nobody asks holds 90 MB less, and the first picture takes half a second more."""
        self._thread.start()

    def stop(self, wait_s: float = 0.3) -> None:
        """Draw no further step. Returns when the present one is over, or after ``wait_s``."""
        self._stopping.set()
        self._book.close()
        self._thread.join(wait_s)

    @property
    def device(self) -> str:
        """Where it draws."""
        return next((one.backend.device for one in self._residents.values()), "cpu")

    def models(self) -> list[ModelCard]:
        """All models on offer."""
        cards = [offer.card for offer in self._offers.values()]
        return [card.model_copy(update={"loaded": card.id in self._residents}) for card in cards]

    def card(self, model: str) -> ModelCard | None:
        """One model's entry."""
        offer = self._offers.get(model)
        return offer.card if offer else None

    def _run(self) -> None:
        try:
            next(iter(self._offers.values())).check()
            self.condition = "ok"
            while not self._stopping.is_set():
                self._turn()
        except Broken as error:
            self.condition, self.reason = "failing", str(error)
            self._on_broken(error)
        except Exception as error:  # the thread's outermost edge: health must say why nothing moves
            self.condition, self.reason = "failing", f"{type(error).__name__}: {error}"
            log.exception("painter stopped")

    def _turn(self) -> None:
        """Take in what came, let go what was cancelled, one step for those whose turn it is."""
        for order, arrived in self._book.arrivals(wait=not self._seats):
            self._seat(order, arrived)
        self._clear()
        limits = {id_: resident.backend.together for id_, resident in self._residents.items()}
        chosen = batch.next([seat.waiting for seat in self._seats.values()], limits)
        if not chosen:
            return
        seats = [self._seats[(one.order, one.index)] for one in chosen]
        try:
            self._step(seats, chosen[0].group.model)
        except Broken:
            raise
        except Exception as error:  # whatever a model does to one order, the others go on
            log.exception("order failed", extra={"orders": [seat.order.id for seat in seats]})
            for seat in seats:
                self._book.failed(seat.order.id, f"{type(error).__name__}: {error}")

    def _seat(self, order: Order, arrived: float) -> None:
        native = self._offers[order.model].card.native_px
        first = passes.plan(Size(order.width, order.height), order.steps, native)[0]
        self._drop({order.id})  # an order of this id may have been cancelled and forgotten a moment ago
        for index in range(len(order.seeds)):
            self._seats[order.id, index] = _Seat(order, index, arrived, first)

    def _clear(self) -> None:
        present = {seat.order.id for seat in self._seats.values()}
        known = present | set(self._conditionings)
        self._drop({id_ for id_ in known if id_ not in present or not self._book.is_open(id_)})

    def _drop(self, orders: set[str]) -> None:
        self._seats = {key: seat for key, seat in self._seats.items() if key[0] not in orders}
        self._conditionings = {id_: c for id_, c in self._conditionings.items() if id_ not in orders}

    def _step(self, seats: Sequence[_Seat], model: str) -> None:
        backend = self._ready(model)
        started = time.perf_counter()
        before = [seat.drawing or self._begin(seat, backend) for seat in seats]
        x, t, c = (np.concatenate(part) for part in zip(*map(drawing.rows, before), strict=True))
        out = backend.denoise(x, t, c)  # [2 B, C, H, W]
        after = [drawing.advance(one, out[2 * i : 2 * i + 2]) for i, one in enumerate(before)]
        shared_s = (time.perf_counter() - started) / len(seats)
        for seat, one in zip(seats, after, strict=True):
            self._settle(seat, one, backend, shared_s)

    def _begin(self, seat: _Seat, backend: Backend) -> Drawing:
        order = seat.order
        if order.id not in self._conditionings:
            found = backend.encode(drawing.prompt(order))
            self._conditionings[order.id] = found
            self._book.begun(order.id, found.notes + drawing.notes(order, backend.facts))
        return drawing.begin(order, order.seeds[seat.index], backend.facts, self._conditionings[order.id])

    def _settle(self, seat: _Seat, now: Drawing, backend: Backend, spent_s: float) -> None:
        """Report the step; then the next pass, or the finished picture."""
        started = time.perf_counter()
        key = (seat.order.id, seat.index)
        picture = backend.decode(now.x0) if now.stage_done or drawing.wants_decoding(now) else None
        if now.done and picture is not None:
            png = pixels.png(pixels.fit(picture, Size(seat.order.width, seat.order.height)))
            del self._seats[key]
            self._book.finished(*key, png, spent_s + time.perf_counter() - started)
            return
        if now.stage_done and picture is not None:
            now = drawing.rise(now, picture, backend)
        spent_s += time.perf_counter() - started
        seat.drawing, seat.spent_s = now, seat.spent_s + spent_s
        preview = None if seat.shown and picture is None else partial(_preview, picture, now)
        seat.shown = seat.shown or picture is not None
        self._book.stepped(*key, step=now.steps_done, fraction=now.fraction, seconds=spent_s, preview=preview)

    def _ready(self, model: str) -> Backend:
        if model not in self._residents:
            others = {seat.order.model for seat in self._seats.values()} - {model}
            self._make_resident([model, *sorted(others)])
        found = self._residents[model]
        found.used_at = time.monotonic()
        return found.backend

    def _make_resident(self, wanted: Sequence[str]) -> None:
        loaded = [Loaded(id_, one.bytes, one.used_at) for id_, one in self._residents.items()]
        free = self._memory_bytes - sum(one.bytes for one in loaded)
        plan = resident.plan([Need(id_, self._offers[id_].card.bytes) for id_ in wanted], loaded, free)
        self._residents = {id_: one for id_, one in self._residents.items() if id_ not in plan.evict}
        for id_ in plan.load:
            offer, started = self._offers[id_], time.monotonic()
            one = _Resident(offer.open(), offer.card.bytes, time.monotonic())
            self._residents = {**self._residents, id_: one}
            log.info("model loaded", extra={"model": id_, "seconds": round(one.used_at - started, 3)})


def _preview(picture: Pixels | None, now: Drawing) -> bytes:
    return pixels.png(pixels.sketch(now.x0, now.facts) if picture is None else picture)
