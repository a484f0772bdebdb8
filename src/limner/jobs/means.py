"""All that running a job needs; built once by the app."""

from collections.abc import Callable
from dataclasses import dataclass

from limner.blobs.store import Blobs
from limner.core.quote import Route, Target
from limner.core.request import GenerateRequest
from limner.jobs.hub import Hub
from limner.providers.base import Provider
from limner.router.pulse import Pulse
from limner.store.store import Store


@dataclass(frozen=True, slots=True)
class Means:
    """`plan` and `provider` may raise `NoRoute`."""

    store: Store
    blobs: Blobs
    hub: Hub
    pulse: Pulse
    plan: Callable[[GenerateRequest], Route]
    provider: Callable[[Target], Provider]
    version: str
