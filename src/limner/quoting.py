"""Quotes: made from a route, signed, and held to when they are accepted. Pure but for the key's file."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from limner.catalog.model import Model
from limner.core.errors import InvalidRequest, SetupError
from limner.core.money import from_micros, to_micros
from limner.core.quote import Agreed, Constraints, Note, Offer, Quote, Route, Target, rewritten
from limner.core.request import GenerateRequest, Policy

SKEW_S = 30.0
"""A quote is still taken so long after its end: clocks differ, and a click takes its time."""
MIN_SECRET = 16
_KEY_BYTES = 32
_MAC_BYTES = 16
_VERSION = "q1"
_PROMPTS = ("prompt", "negative_prompt")
_FREE_TO_DIFFER = {
    "quote": None,
    "policy": Policy(),
    "user": None,
    "project": "default",
    "scene": None,
    "priority": 0,
    "format": "png",
    "compression": None,
}
"""What an order may say otherwise than the request that was quoted: it changes neither the price nor the
picture, only who asks, where it is kept, as which file, and how far a fallback may go below the price."""


class _Terms(NamedTuple):
    """What a token holds, as the JSON list it is written as."""

    request: str
    provider: str
    account: str
    model: str
    ref: str
    micros: int | None
    notes: str
    until: int


@dataclass(frozen=True, slots=True)
class Quoting:
    """Signs and checks with one secret. Times are Unix seconds."""

    secret: bytes = field(repr=False)
    valid_s: float

    def quote(self, request: GenerateRequest, route: Route, model: Model | None, now: float) -> Quote:
        """The promise of a planned route; `model` is the catalog's entry of its first target."""
        best = route.targets[0]
        width, height = best.request.size or (0, 0)
        until = int(now + self.valid_s)
        return Quote(
            model=best.model,
            provider=best.provider,
            tier=best.tier,
            width=width,
            height=height,
            steps=best.request.steps,
            count=request.count,
            price_usd=best.price_usd,
            priced=best.priced,
            seconds=best.seconds,
            notes=best.notes,
            route=tuple(_offer(one) for one in route.targets),
            alternatives=tuple(_offer(one) for one in route.alternatives),
            passed_over=route.passed_over,
            constraints=None if model is None else _constraints(model),
            token=self._signed(_terms(request, best, until)),
            valid_until=float(until),
        )

    def accepted(self, request: GenerateRequest, now: float) -> Agreed | None:
        """What the request's quote promises, None without one. Raises `InvalidRequest` for a quote that is
        not ours, has ended, or was given for another request."""
        if request.quote is None:
            return None
        payload, _, mac = request.quote.rpartition(".")
        # Compared as bytes: text beyond ASCII would be refused by the comparison itself.
        if not hmac.compare_digest(mac.encode(), self._mac(payload).encode()):
            raise _refused("was not given by this server, or was changed on the way")
        terms = _read(payload)
        if now > terms.until + SKEW_S:
            raise _refused("has ended")
        if terms.request != fingerprint(request):
            raise _refused("was given for another request")
        return _agreed(terms)

    def _signed(self, terms: _Terms) -> str:
        text = json.dumps(terms, ensure_ascii=False, separators=(",", ":"))
        payload = f"{_VERSION}.{_base64(text.encode())}"
        return f"{payload}.{self._mac(payload)}"

    def _mac(self, payload: str) -> str:
        return _base64(hmac.digest(self.secret, payload.encode(), "sha256")[:_MAC_BYTES])


def agreed(request: GenerateRequest) -> Agreed | None:
    """What the quote of an accepted job promises; it was checked when the job was accepted, and its end does
    not matter any more. None without a quote."""
    return None if request.quote is None else _agreed(_read(request.quote.rpartition(".")[0]))


def fingerprint(request: GenerateRequest) -> str:
    """What a quote is given for: all of the request that decides the price or the picture."""
    plain = request.model_copy(update=_FREE_TO_DIFFER)
    return _base64(bytes.fromhex(plain.fingerprint())[:18])


def told(route: Route, promised: Agreed) -> Route:
    """The route with a note at each target that does not keep to the quote in all but the price."""
    targets = tuple(_with_note(one, promised) for one in route.targets)
    return route.model_copy(update={"targets": targets})


def open_quoting(home: Path, secret: SecretStr | None, valid_s: float) -> Quoting:
    """Signs with the setting's secret, else with the key in the home's file `quote.key`, which is made when
    it is missing. Raises `SetupError`."""
    return Quoting(_key(home, None if secret is None else secret.get_secret_value()), valid_s)


def _key(home: Path, secret: str | None) -> bytes:
    if secret is not None:
        if len(secret) < MIN_SECRET:
            raise SetupError(f"quote_secret is too short: give at least {MIN_SECRET} characters")
        return hashlib.sha256(secret.encode()).digest()
    path = home / "quote.key"
    try:
        if not path.exists():
            _make(path)
        found = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path} cannot be read or made: {error.strerror}; it signs quotes") from error
    if len(found) != _KEY_BYTES:
        raise SetupError(f"{path} is not a key of {_KEY_BYTES} bytes; remove it, and a new one is made")
    return found


def _make(path: Path) -> None:
    """Whole or not there, and never two: whoever links first wins."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()


def _terms(request: GenerateRequest, target: Target, until: int) -> _Terms:
    price = target.price_usd
    return _Terms(
        request=fingerprint(request),
        provider=target.provider,
        account=target.account,
        model=target.model,
        ref=target.ref,
        micros=None if price is None else to_micros(price),
        notes=_digest(target),
        until=until,
    )


def _agreed(terms: _Terms) -> Agreed:
    return Agreed(
        provider=terms.provider,
        account=terms.account,
        model=terms.model,
        ref=terms.ref,
        price_usd=None if terms.micros is None else from_micros(terms.micros),
        notes=terms.notes,
    )


def _read(payload: str) -> _Terms:
    """The terms of a token that was signed by us. Raises `InvalidRequest` for what another version signed."""
    version, _, text = payload.partition(".")
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        terms = _Terms(*values)
    except (ValueError, TypeError) as error:
        raise _refused("cannot be read by this version") from error
    if version != _VERSION:
        raise _refused("cannot be read by this version")
    return terms


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest(f"quote {why}; ask for a new one at POST /v1/quotes, or leave it out", "quote")


def _with_note(target: Target, promised: Agreed) -> Target:
    if (target.provider, target.model) != (promised.provider, promised.model):
        said = f"{promised.name} was quoted; {target.name} draws instead"
    elif _digest(target) != promised.notes:
        said = "the catalog changed since the quote: what is bent differs"
    else:
        return target
    return target.model_copy(update={"notes": (Note(field="quote", message=said), *target.notes)})


def _offer(target: Target) -> Offer:
    return Offer(
        model=target.model,
        provider=target.provider,
        account=target.account,
        tier=target.tier,
        price_usd=target.price_usd,
        seconds=target.seconds,
        notes=target.notes,
    )


def _constraints(model: Model) -> Constraints:
    sizes = model.sizes
    return Constraints(
        operations=tuple(sorted(model.operations)),
        max_count=model.max_count,
        max_prompt=model.max_prompt,
        max_inputs=model.max_inputs,
        min_side=sizes.min_side,
        max_side=sizes.max_side,
        multiple_of=sizes.multiple_of,
        min_pixels=sizes.min_pixels,
        max_pixels=sizes.max_pixels,
        sizes=sizes.listed,
        other_sizes=sizes.nearest,
        styles=model.styles,
        any_style=model.free_style,
        options=model.options,
    )


def _digest(target: Target) -> str:
    """Of what the catalog bends. How a prompt is rewritten, and what that bends, is known only afterwards."""
    open_ = _PROMPTS if rewritten(target.request) else ()
    text = json.dumps([[note.field, note.message] for note in target.notes if note.field not in open_])
    return _base64(hashlib.sha256(text.encode()).digest()[:6])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
