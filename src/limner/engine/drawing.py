"""One picture between two of its steps, as a value. Only ``rise`` runs a model; the rest is arithmetic."""

from dataclasses import dataclass, replace

import numpy as np

from limner.engine import passes, pixels, samplers
from limner.engine.backend import Backend
from limner.engine.passes import Pass
from limner.engine.protocol import Order
from limner.engine.samplers import Row
from limner.engine.values import Array, Conditioning, Facts, Latents, Pixels, Prompt, Size

DECODE_STEPS = 3
"""What decoding costs, in denoising steps of the same size (measured: 2.4 at 256 px, 3.5 at 512)."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A started picture: where it stands (``stage``, ``step``) and its latents."""

    order: Order
    seed: int
    facts: Facts
    conditioning: Conditioning
    plan: tuple[Pass, ...]
    stage: int
    step: int
    table: tuple[Row, ...]
    x: Latents
    x0: Latents

    @property
    def stage_done(self) -> bool:
        """Whether the sampler has reached the end of this pass."""
        return self.step == len(self.table)

    @property
    def done(self) -> bool:
        """Whether only decoding is left."""
        return self.stage_done and self.stage == len(self.plan) - 1

    @property
    def steps_done(self) -> int:
        """Counted over all passes."""
        return sum(p.steps for p in self.plan[: self.stage]) + self.step

    @property
    def fraction(self) -> float:
        """Share of the work done, by area; 1 is reached only with the decoded picture."""
        work = [p.steps * p.size.area for p in self.plan]
        done = sum(work[: self.stage]) + self.step * self.plan[self.stage].size.area
        return done / (sum(work) + DECODE_STEPS * self.plan[-1].size.area)


def prompt(order: Order) -> Prompt:
    """The order's texts."""
    return Prompt(order.prompt, order.negative_prompt)


def notes(order: Order, facts: Facts) -> tuple[str, ...]:
    """What of the order's size is not drawn as asked."""
    drawn = _plan(order, facts)[-1].size
    if drawn.width >= order.width and drawn.height >= order.height:
        return ()
    return (f"drawn at {drawn.width}x{drawn.height} and enlarged",)


def wants_decoding(drawing: Drawing) -> bool:
    """Whether this is the step whose picture an order with previews gets to see in full."""
    first = drawing.stage == 0 and drawing.step == len(drawing.table) // 2
    return drawing.order.previews and first


def begin(order: Order, seed: int, facts: Facts, conditioning: Conditioning) -> Drawing:
    """The picture before its first step: noise."""
    plan = _plan(order, facts)
    x = _noise(seed, 0, facts, plan[0].size)
    return Drawing(order, seed, facts, conditioning, plan, 0, 0, _table(facts, plan[0]), x, np.zeros_like(x))


def rows(drawing: Drawing) -> tuple[Array, Array, Array]:
    """What the model is asked at this step: the unconditional and the conditional row."""
    t = drawing.table[drawing.step].t
    x = np.stack([drawing.x, drawing.x])  # [2, C, H, W]
    return x, np.full((2,), t, np.float32), drawing.conditioning.hidden


def advance(drawing: Drawing, out: Array) -> Drawing:
    """The picture one step on; ``out`` [2, C, H, W] is the model's answer to ``rows``."""
    row = drawing.table[drawing.step]
    guided = out[0] + drawing.order.guidance_scale * (out[1] - out[0])
    x = row.advance(drawing.x, guided, drawing.x0)
    return replace(drawing, x=x, x0=row.x0(drawing.x, guided), step=drawing.step + 1)


def rise(drawing: Drawing, base: Pixels, backend: Backend) -> Drawing:
    """The start of the next pass: ``base``, the last one's picture, enlarged and partly noised again."""
    stage = drawing.stage + 1
    step = drawing.plan[stage]
    table = _table(drawing.facts, step)
    enlarged = backend.encode_pixels(pixels.resize(base, step.size))
    level = samplers.levels(drawing.facts.schedule, drawing.facts.train_steps)[table[0].t]
    x = level.signal * enlarged + level.noise * _noise(drawing.seed, stage, drawing.facts, step.size)
    return replace(drawing, stage=stage, step=0, table=table, x=x, x0=enlarged)


def _plan(order: Order, facts: Facts) -> tuple[Pass, ...]:
    return passes.plan(Size(order.width, order.height), order.steps, facts.native_px)


def _table(facts: Facts, step: Pass) -> tuple[Row, ...]:
    at = samplers.times(step.steps, facts.train_steps, facts.spacing, step.strength)
    known = samplers.levels(facts.schedule, facts.train_steps)
    return samplers.table("dpmpp_2m", at, known, facts.prediction)


def _noise(seed: int, stage: int, facts: Facts, size: Size) -> Latents:
    bits = np.random.PCG64(seed).jumped(stage) if stage else np.random.PCG64(seed)
    shape = (facts.channels, size.height // facts.factor, size.width // facts.factor)
    return np.random.Generator(bits).standard_normal(shape, dtype=np.float32)
