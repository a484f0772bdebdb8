"""Samplers as tables of coefficients: each step is ``x' = a x + b out + c x0_before``.

``out`` is what the model answers at time ``t``; ``p x + q out`` is its present idea of the finished picture.
The tables hold plain floats, so requests with different step counts can be stepped together.

With signal ``s = sqrt(alphas_cumprod)`` and noise ``n = sqrt(1 - alphas_cumprod)``, ``x = s x0 + n eps``:

- epsilon, v and sample prediction: Salimans and Ho, "Progressive Distillation" (2022), appendix D;
- DDIM with eta 0: Song et al. (2021), equation 12. Euler on the probability flow is the same map;
- DPM-Solver++ (2M): Lu et al. (2022), algorithm 2, with the step to zero noise taken at first order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from limner.engine.values import Array, Prediction, Schedule, Spacing

Sampler = Literal["dpmpp_2m", "ddim"]


@dataclass(frozen=True, slots=True)
class Row:
    """One step of one picture."""

    t: int
    a: float
    b: float
    c: float
    p: float
    q: float

    def x0(self, x: Array, out: Array) -> Array:
        """The finished picture as the model sees it now."""
        return self.p * x + self.q * out

    def advance(self, x: Array, out: Array, x0_before: Array) -> Array:
        """The latents at the next, smaller time."""
        moved: Array = self.a * x + self.b * out + self.c * x0_before
        return moved


@dataclass(frozen=True, slots=True)
class Level:
    """How much picture and how much noise there is at one time."""

    signal: float
    noise: float

    @property
    def log_snr(self) -> float:
        """Half the logarithm of the signal-to-noise ratio: the paper's lambda."""
        return math.log(self.signal) - math.log(self.noise)


CLEAN = Level(1.0, 0.0)


@lru_cache
def levels(schedule: Schedule, train_steps: int) -> tuple[Level, ...]:
    """Signal and noise at every time the model was trained on."""
    alphas = np.cumprod(1 - _betas(schedule, train_steps), dtype=np.float32).astype(np.float64)
    return tuple(Level(math.sqrt(alpha), math.sqrt(1 - alpha)) for alpha in alphas)


def _betas(schedule: Schedule, n: int) -> Array:
    match schedule:
        case "squaredcos_cap_v2":
            bar = [math.cos((i / n + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(n + 1)]
            return np.array([min(1 - bar[i + 1] / bar[i], 0.999) for i in range(n)], np.float32)
        case "scaled_linear":
            roots: Array = np.linspace(0.00085**0.5, 0.012**0.5, n, dtype=np.float32)
            return roots * roots
        case "linear":
            return np.linspace(0.00085, 0.012, n, dtype=np.float32)


def times(
    steps: int, train_steps: int, spacing: Spacing = "trailing", strength: float = 1.0
) -> tuple[int, ...]:
    """Falling times for so many steps; a ``strength`` under 1 starts that far into the schedule.

    Times are whole numbers, so a short stretch cannot hold more steps than it has times: repeats are dropped.
    """
    span = train_steps * strength
    match spacing:
        case "trailing":
            found = [round(span * (steps - i) / steps) - 1 for i in range(steps)]
        case "leading":
            found = [int(span * (steps - 1 - i) / steps) for i in range(steps)]
    return tuple(sorted({max(t, 0) for t in found}, reverse=True))


def table(
    sampler: Sampler, at: Sequence[int], known: Sequence[Level], prediction: Prediction
) -> tuple[Row, ...]:
    """The coefficients for stepping through the falling times ``at`` down to no noise."""
    here = [known[t] for t in at]
    rows = []
    for i, (t, now) in enumerate(zip(at, here, strict=True)):
        after = here[i + 1] if i + 1 < len(here) else CLEAN
        before = here[i - 1] if i else None
        match sampler:
            case "ddim":
                a, b, c = _ddim(now, after, prediction)
            case "dpmpp_2m":
                a, b, c = _dpmpp_2m(before, now, after, prediction)
        rows.append(Row(t, a, b, c, *_to_x0(now, prediction)))
    return tuple(rows)


def _to_x0(level: Level, prediction: Prediction) -> tuple[float, float]:
    match prediction:
        case "v_prediction":
            return level.signal, -level.noise
        case "epsilon":
            return 1 / level.signal, -level.noise / level.signal
        case "sample":
            return 0.0, 1.0


def _to_eps(level: Level, prediction: Prediction) -> tuple[float, float]:
    match prediction:
        case "v_prediction":
            return level.noise, level.signal
        case "epsilon":
            return 0.0, 1.0
        case "sample":
            return 1 / level.noise, -level.signal / level.noise


def _ddim(now: Level, after: Level, prediction: Prediction) -> tuple[float, float, float]:
    (p, q), (e, f) = _to_x0(now, prediction), _to_eps(now, prediction)
    return after.signal * p + after.noise * e, after.signal * q + after.noise * f, 0.0


def _dpmpp_2m(
    before: Level | None, now: Level, after: Level, prediction: Prediction
) -> tuple[float, float, float]:
    p, q = _to_x0(now, prediction)
    if after.noise == 0:
        return p, q, 0.0
    h = after.log_snr - now.log_snr
    keep, gain = after.noise / now.noise, -after.signal * math.expm1(-h)
    if before is None:
        return keep + gain * p, gain * q, 0.0
    k = h / (2 * (now.log_snr - before.log_snr))
    return keep + gain * (1 + k) * p, gain * (1 + k) * q, -gain * k
