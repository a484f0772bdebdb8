"""`GET /health-check/image-providers`: the four providers of the two-phase clients, in three layers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from limner.api.reference import ANYWHERE, MEANING, get
from limner.api.two_phase_shapes import PressRefusal
from limner.app import Limner
from limner.router.breaker import BreakerState, Circuit
from limner.router.policy import ORDERS

NAMES = ORDERS["two-phase"]
REMEMBERED_S = 300.0
"""Seconds an answer keeps its `lastCheck`, unless something changes."""


class _Camel(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class HealthLayers(_Camel):
    """Up to the first layer that failed."""

    has_api_key: bool
    enabled: bool | None = None
    circuit_state: BreakerState | None = None
    circuit_available: bool | None = None


class CircuitRecord(_Camel):
    """The provider's circuit. Times are milliseconds, `lastFailure` since 1970."""

    state: BreakerState
    failure_count: int
    last_failure: int | None = None
    """Absent while there was none."""
    available: bool
    threshold: int
    timeout_ms: int
    recovery_in: int | None = None
    """Present while it is open."""


class ImageProviderHealth(_Camel):
    """One provider."""

    provider: str
    available: bool
    reason: str
    circuit_breaker_state: BreakerState
    details: HealthLayers
    circuit: CircuitRecord
    last_check: str


class HealthSummary(_Camel):
    """How many."""

    total: int
    available: int
    unavailable: int


class ImageProvidersHealth(_Camel):
    """What the endpoint answers."""

    timestamp: str
    providers: dict[str, ImageProviderHealth]
    summary: HealthSummary


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found, and when: on the monotonic clock, and for people."""

    layers: HealthLayers
    at: float
    shown: str


class ImageHealth:
    """The door. It asks no vendor. `clock` is in seconds, from any start."""

    def __init__(self, limner: Limner, clock: Callable[[], float] = time.monotonic) -> None:
        self._limner = limner
        self._clock = clock
        self._checked: dict[str, _Checked] = {}

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        get(
            app,
            "/health-check/image-providers",
            self.check,
            tags=["Two-phase chat"],
            summary="Which of four image providers can be used, and why not",
            response_model=ImageProvidersHealth,
            responses={one: {"description": MEANING[one], "model": PressRefusal} for one in ANYWHERE},
        )

    async def check(self) -> Response:
        """Answer an `ImageProvidersHealth`, whatever is found."""
        now, wall = self._clock(), _iso(time.time())
        found = {name: self._one(name, now, wall) for name in NAMES}
        able = sum(one.available for one in found.values())
        said = ImageProvidersHealth(
            timestamp=wall,
            providers=found,
            summary=HealthSummary(total=len(found), available=able, unavailable=len(found) - able),
        )
        text = said.model_dump_json(by_alias=True, exclude_none=True)
        return Response(text, media_type="application/json")

    def _one(self, name: str, now: float, wall: str) -> ImageProviderHealth:
        here = self._limner.layers(name)
        circuit = here.circuit or _CLOSED
        layers = layers_of(has_key=here.has_key, enabled=here.enabled, circuit=circuit)
        before = self._checked.get(name)
        if before is None or before.layers != layers or now - before.at > REMEMBERED_S:
            before = self._checked[name] = _Checked(layers, now, wall)
        why_not = reason(name, layers)
        return ImageProviderHealth(
            provider=name,
            available=why_not is None,
            reason=why_not or "Available",
            circuit_breaker_state=circuit.state,
            details=layers,
            circuit=_record(circuit),
            last_check=before.shown,
        )


_CLOSED = Circuit(
    state="CLOSED",
    failure_count=0,
    last_failure=None,
    available=True,
    threshold=5,
    timeout_ms=600_000,
    recovery_in_ms=None,
)
"""Of a provider that is switched off, and so has no account here."""


def layers_of(*, has_key: bool, enabled: bool, circuit: Circuit) -> HealthLayers:
    """The layers in order: key, switch, circuit."""
    if not has_key:
        return HealthLayers(has_api_key=False)
    if not enabled:
        return HealthLayers(has_api_key=True, enabled=False)
    return HealthLayers(
        has_api_key=True, enabled=True, circuit_state=circuit.state, circuit_available=circuit.available
    )


def reason(name: str, layers: HealthLayers) -> str | None:
    """The clients' sentence for the layer that failed, None when none did."""
    if not layers.has_api_key:
        return f"No API key configured for {name}"
    if not layers.enabled:
        return f"Image generation disabled for {name}"
    return None if layers.circuit_available else f"Circuit breaker OPEN for {name}"


def _record(circuit: Circuit) -> CircuitRecord:
    return CircuitRecord(
        state=circuit.state,
        failure_count=circuit.failure_count,
        last_failure=None if circuit.last_failure is None else round(circuit.last_failure * 1000),
        available=circuit.available,
        threshold=circuit.threshold,
        timeout_ms=circuit.timeout_ms,
        recovery_in=circuit.recovery_in_ms,
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
