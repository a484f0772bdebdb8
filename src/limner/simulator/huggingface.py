"""Hugging Face: a hub that tells who serves what, and a router behind which every partner is itself."""

from collections.abc import Iterable
from typing import cast

from aiohttp import web
from pydantic import JsonValue

from limner.simulator.huggingface_desk import Desk, error
from limner.simulator.huggingface_once import AtOnce
from limner.simulator.huggingface_orders import SERVED
from limner.simulator.huggingface_queues import PATIENCE_S, Queues
from limner.simulator.vendor import ErrorWord, Route, Vendor, route
from limner.simulator.world import World

_OLD_SHAPE = frozenset({"black-forest-labs/FLUX.1-dev"})
"""Models whose partners the hub still tells as an object instead of a list."""


class HuggingFace(Vendor):
    """One token for all partners."""

    name = "huggingface"
    base = "/router/"
    also_under = ("hf",)
    key = "hf_emu"

    def __init__(self, world: World) -> None:
        desk = Desk(world)
        self.at_once, self.queues = AtOnce(desk), Queues(desk)
        super().__init__(world)

    def reset(self) -> None:
        """Forget the tasks; every model is warm and every partner patient."""
        self.at_once.cold.clear()
        self.queues.tasks.clear()
        self.queues.patience_s = PATIENCE_S

    def routes(self) -> Iterable[Route]:
        """The router's, two of the hub's, and the host there was before the router."""
        return [
            *self.at_once.routes(),
            *self.queues.routes(),
            route("GET", "/hub/api/models/{model:.+}", self.mapping),
            route("GET", "/hub/api/whoami-v2", self.whoami),
            route("POST", "/models/{model:.+}", self.retired),
        ]

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """The router's own words."""
        match word:
            case "no_key":
                return error(401, "Invalid credentials in Authorization header")
            case "bad_key":
                return error(401, "Invalid username or password.")
            case "forbidden":
                return error(
                    403,
                    "This authentication method does not have sufficient permissions to call Inference "
                    "Providers on behalf of user emu",
                )
            case "no_money":
                return error(402, "You have exceeded your monthly included credits for Inference Providers.")
            case "rate_limited":
                seconds = max(1, round(self.retry_after_s(request)))
                return error(429, "Too Many Requests", {"Retry-After": str(seconds)})
            case "server_error":
                return error(500, "Internal Server Error")
            case "overloaded":
                return error(503, "Model is overloaded, retry later")

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """Plain text."""
        return web.Response(status=404, text="Not Found")

    def jobs(self) -> list[dict[str, JsonValue]]:
        """Orders at the partners that queue."""
        return [
            {"id": one.id, "partner": one.served.partner, "model": one.served.id}
            for one in self.queues.tasks.values()
        ]

    async def whoami(self, _request: web.Request) -> web.Response:
        """Whose token it is."""
        return web.json_response(
            {"type": "user", "id": "emu", "name": "emu", "auth": {"type": "access_token"}}
        )

    async def mapping(self, request: web.Request) -> web.Response:
        """Who serves a model, in the newer shape or the older one."""
        model = request.match_info["model"]
        found = [one for one in SERVED if one.model == model]
        if not found:
            return error(404, "Repository not found")
        told = [
            {"provider": one.partner, "providerId": one.id, "status": "live", "task": "text-to-image"}
            for one in found
        ]
        older = {
            one["provider"]: {name: one[name] for name in ("providerId", "status", "task")} for one in told
        }
        body: dict[str, JsonValue] = {"_id": "0", "id": model, "pipeline_tag": "text-to-image"}
        body["inferenceProviderMapping"] = cast("JsonValue", older if model in _OLD_SHAPE else told)
        return web.json_response(body)

    async def retired(self, _request: web.Request) -> web.Response:
        """The host there was before the router."""
        return error(
            410,
            "https://api-inference.huggingface.co is no longer supported. Please use "
            "https://router.huggingface.co instead.",
        )
