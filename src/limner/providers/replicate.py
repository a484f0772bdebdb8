"""Replicate: predictions of official and community models; a ticket, then polling; pictures come as links."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from hmac import compare_digest, digest
from typing import ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, Field, JsonValue

from limner.core.errors import (
    Lost,
    Malformed,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unavailable,
)
from limner.providers.answers import SHOWN, readable
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket, Usage, the_one
from limner.providers.orders import Fields
from limner.providers.replicate_inputs import Dialect, inputs, listed, version, whole
from limner.wire import by_status, retry_after_s

_SKEW_S, _OLDEST_WEBHOOK_S = 30.0, 300.0
_RESETS = re.compile(r"resets in ~(\d+)s")
_PERCENT = re.compile(r"^\s*(\d{1,3})%\s*\|", re.MULTILINE)
_REFUSED = re.compile(r"NSFW|E005|flagged as sensitive", re.IGNORECASE)


class _Metrics(BaseModel):
    predict_time: float | None = None


class _Prediction(BaseModel):
    id: str
    status: Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]
    version: str = "hidden"  # of an official model
    output: JsonValue = None
    error: str | None = None
    logs: str | None = None
    data_removed: bool = False
    started_at: AwareDatetime | None = None
    metrics: _Metrics | None = None


class _Fault(BaseModel):
    title: str = ""
    detail: str = ""
    retry_after: float | None = Field(default=None, ge=0)


class Replicate(Provider):
    """Replicate. Official models cost by the picture, community models by the second; kept for one hour."""

    name = "replicate"
    base_url = "https://api.replicate.com/"
    recovery = Recovery.TICKETED
    key_env: ClassVar[tuple[str, ...]] = ("REPLICATE_API_TOKEN",)
    timeout_s = 60.0
    webhooks = True
    probe_path = "v1/account"

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By the status; how long to wait is in the body, in words if nowhere else."""
        if status < 400:
            return None
        fault = readable(body, _Fault) or _Fault()
        why = f"{fault.title} {fault.detail}".strip() or body.decode("utf-8", "replace")
        said = f"{status}: {why}"[:SHOWN]
        match status:
            case 403:
                return Rejected(said)  # this model is private or needs approval; the key is good
            case 429:
                resets = _RESETS.search(fault.detail)
                told = fault.retry_after if resets is None else float(resets[1])
                return RateLimited(said, after_s=retry_after_s(headers) if told is None else told)
            case 503 if fault.detail:
                # It says so itself; a proxy's 503 says nothing about what became of the order.
                return Unavailable(said)
            case _ if status >= 500:
                return TimedOut(said)
            case _:
                return by_status(status, headers, why.encode())

    async def submit(self, call: Call) -> Outcome:
        """Create a prediction; its answer comes at once, with no picture yet."""
        order: Fields = {"version": await version(call, self.wire), "input": await whole(call, self.wire)}
        if call.webhook is not None:
            order |= {"webhook": call.webhook, "webhook_events_filter": ["completed"]}
        try:
            seen = await self.wire.post("v1/predictions", into=_Prediction, json=order)
        except Malformed as error:
            raise TimedOut(f"taken, but {error}") from error  # it is in the list, as after a lost answer
        return _outcome(seen)

    async def poll(self, ticket: Ticket) -> Outcome:
        """How far is it? An hour after its end it is gone: `Lost`."""
        return _outcome(await self.wire.get(f"v1/predictions/{ticket['id']}", into=_Prediction))

    async def find(self, call: Call) -> Ticket | None:
        """The one recent prediction with our input; its pictures are left out, since their links differ."""
        dialect = Dialect.model_validate(call.dialect)
        pictures = {dialect.image, dialect.mask}
        wanted = (call.model.partition(":")[0], inputs(call))
        found, all_ = await listed(self.wire, call.at - _SKEW_S)
        alike = [
            one
            for one in found
            if one.id not in call.others
            and (one.model, {k: v for k, v in one.input.items() if k not in pictures}) == wanted
        ]
        fresh = [one.id for one in alike if one.created_at.timestamp() >= call.at - _SKEW_S]
        ours = the_one(fresh, whole=all_, older=len(alike) > len(fresh))
        return None if ours is None else {"id": ours}

    async def cancel(self, ticket: Ticket) -> None:
        """Stop it: free before it has started, after that it is charged."""
        await self.wire.ask(f"v1/predictions/{ticket['id']}/cancel", into=_Prediction)

    @staticmethod
    def told(model: str, body: bytes) -> Ticket | None:
        """A call holds the prediction as asking for it does."""
        seen = readable(body, _Prediction)
        return None if seen is None else {"id": seen.id}

    async def verify(self, headers: Mapping[str, str], body: bytes, secret: str | None, now: float) -> bool:
        """Signed by the vendor and at most 5 minutes old? `secret` starts with `whsec_`; without one nobody
        can tell."""
        if secret is None:
            return True
        sent = headers.get("webhook-timestamp", "")
        if not sent.isdecimal() or len(sent) > 12 or abs(now - int(sent)) > _OLDEST_WEBHOOK_S:
            return False
        text = f"{headers.get('webhook-id', '')}.{sent}.".encode("utf-8", "replace") + body
        try:
            mine = b64encode(digest(b64decode(secret.removeprefix("whsec_")), text, "sha256"))
        except ValueError:  # a secret that is none
            return False
        given = headers.get("webhook-signature", "").split()
        return any(compare_digest(one.removeprefix("v1,").encode("utf-8", "replace"), mine) for one in given)


def _outcome(seen: _Prediction) -> Outcome:
    match seen.status:
        case "starting":
            return Pending({"id": seen.id}, after_s=1.0)
        case "processing":
            percent = _PERCENT.findall(seen.logs or "")
            fraction = min(int(percent[-1]), 100) / 100 if percent else None
            return Pending({"id": seen.id}, after_s=0.5, fraction=fraction)
        case "succeeded":
            return _done(seen)
        case "failed":
            raise _failure(seen)
        case "aborted":
            raise Rejected("its deadline was over before it started; nothing was charged")
        case "canceled" if seen.started_at is None:
            raise Rejected("cancelled before it started; nothing was charged")
        case "canceled":
            raise Lost("cancelled at work, which is charged")


def _done(seen: _Prediction) -> Done:
    if seen.data_removed:
        raise Lost("the pictures were deleted: they are kept for one hour")
    links = tuple(_links(seen.output))
    if not links:
        raise Malformed(f"it succeeded without a picture: {str(seen.output)[:SHOWN]}")
    seconds = None if seen.metrics is None else seen.metrics.predict_time
    usage = None if seconds is None else Usage(seconds=seconds)
    return Done(links=links, usage=usage, engine=None if seen.version == "hidden" else seen.version)


def _links(output: JsonValue) -> Iterator[str]:
    """Models answer with one link, a list of them, or an object that holds some."""
    if isinstance(output, str) and output.startswith(("http:", "https:", "data:")):
        yield output
    elif isinstance(output, list | dict):
        for one in output.values() if isinstance(output, dict) else output:
            yield from _links(one)


def _failure(seen: _Prediction) -> ProviderError:
    """Official models charge for pictures alone, community models for the time until they failed."""
    said = f"failed: {(seen.error or 'without a reason')[:SHOWN]}"
    billed: Literal["no", "maybe"] = "no" if seen.version == "hidden" else "maybe"
    failure = (Refused if _REFUSED.search(said) else Rejected)(said)
    failure.billed = billed
    return failure
