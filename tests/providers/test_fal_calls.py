"""Whose a call is, by fal's signature: with keys at hand, and with keys that have to be asked for."""

import asyncio
from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from limner.core.errors import Malformed, Rejected, Unavailable
from limner.providers.fal import Fal
from limner.providers.fal_calls import KeySet, fresh, message, signed
from limner.simulator import fal as vendor
from limner.simulator.app import Simulator
from limner.wire import Wire, session
from tests.fakes import until
from tests.providers.wiring import at, call

NOW = 1_800_000_000
BODY = b'{"request_id": "r1", "status": "OK"}'
OLD, NEW = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))


def raw(key):
    return key.public_key().public_bytes_raw()


def entry(key):
    return {"kty": "OKP", "crv": "Ed25519", "x": urlsafe_b64encode(raw(key)).rstrip(b"=").decode()}


def key_set(*keys):
    return KeySet.model_validate({"keys": [entry(key) for key in keys]})


def headers(key=OLD, at=NOW, body=BODY):
    return {name.lower(): value for name, value in vendor.sign("r1", str(at), body, key).items()}


class Vendor:
    """A wire whose vendor answers with one key set after the other, the last again and again."""

    def __init__(self, *answers, host="127.0.0.1"):
        self.answers, self.host, self.asked = list(answers), host, []

    async def get(self, path, *, into):
        self.asked.append(path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """Stands still until it is told otherwise; starts near zero, as after a start of the machine."""

    def __init__(self):
        self.now = 1.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("limner.providers.fal_calls.monotonic", clock)
    return clock


async def heard(fal, key=OLD, secret=None):
    return await fal.verify(headers(key), BODY, secret, NOW)


def test_three_headers_and_the_bodys_digest_are_signed_a_line_each():
    digest = sha256(BODY).hexdigest()
    assert message(headers(), BODY) == f"r1\nlimner\n{NOW}\n{digest}".encode()


@pytest.mark.parametrize(
    ("change", "body", "good"),
    [
        ({}, BODY, True),
        ({}, BODY + b" ", False),
        ({}, b"", False),
        ({"request-id": "r2"}, BODY, False),
        ({"user-id": "other"}, BODY, False),
        ({"timestamp": str(NOW + 1)}, BODY, False),
        ({"signature": headers(NEW)["x-fal-webhook-signature"]}, BODY, False),
        ({"signature": "00" * 64}, BODY, False),
        ({"signature": "00"}, BODY, False),
        ({"signature": "no hex"}, BODY, False),
        ({"signature": "\udcff"}, BODY, False),
        ({"request-id": "\udcff"}, BODY, False),
    ],
)
async def test_a_call_is_believed_only_as_it_was_signed(change, body, good):
    given = headers() | {f"x-fal-webhook-{name}": value for name, value in change.items()}
    assert signed(given, body, [raw(OLD)]) is good
    assert await Fal(Vendor(key_set(OLD))).verify(given, body, None, NOW) is good


@pytest.mark.parametrize("name", ["request-id", "user-id", "timestamp", "signature"])
async def test_a_call_without_one_of_the_headers_is_not_believed_and_nobody_is_asked(name):
    asked = Vendor(key_set(OLD))
    given = headers()
    del given[f"x-fal-webhook-{name}"]
    assert await Fal(asked).verify(given, BODY, None, NOW) is False
    assert asked.asked == []


@pytest.mark.parametrize(
    ("late_s", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
async def test_a_call_is_at_most_five_minutes_off(late_s, good):
    assert await Fal(Vendor(key_set(OLD))).verify(headers(), BODY, None, NOW + late_s) is good


@pytest.mark.parametrize("sent", ["soon", "", "9" * 5000, "-1", f"{NOW}.0", f" {NOW}"])
def test_a_time_that_is_none_is_not_fresh(sent):
    assert fresh(headers() | {"x-fal-webhook-timestamp": sent}, NOW) is False


@pytest.mark.parametrize("keys", [(OLD, NEW), (NEW, OLD)])
async def test_any_key_of_the_set_is_enough(keys):
    assert await heard(Fal(Vendor(key_set(*keys))), OLD)


def test_keys_of_other_kinds_are_left_out():
    others = [{}, {"kty": "RSA", "n": "AQAB"}, {"kty": "OKP", "crv": "X25519", "x": entry(NEW)["x"]}]
    broken = [{"kty": "OKP"}, {"kty": "OKP", "x": 7}, {"kty": "OKP", "x": "AAAA"}, {"kty": "OKP", "x": "ü"}]
    bare = {"kty": "OKP", "x": entry(OLD)["x"]}
    assert KeySet.model_validate({"keys": [*others, *broken, bare]}).usable() == (raw(OLD),)
    with pytest.raises(Malformed, match="no Ed25519 key"):
        KeySet.model_validate({"keys": [*others, *broken]}).usable()


def test_a_key_that_is_no_point_of_the_curve_proves_nothing():
    assert signed(headers(), BODY, [b"\xff" * 32, raw(OLD)]) is True
    assert signed(headers(), BODY, [b"\xff" * 32]) is False


async def test_a_secret_in_the_settings_changes_nothing():
    assert await heard(Fal(Vendor(key_set(OLD))), OLD, "whsec_x") is True
    assert await heard(Fal(Vendor(key_set(OLD))), NEW, "whsec_x") is False


async def test_keys_are_asked_for_once_a_day(clock):
    asked = Vendor(key_set(OLD))
    fal = Fal(asked)
    for now in (1.0, 2.0, 86_401.0):
        clock.now = now
        assert await heard(fal)
    assert len(asked.asked) == 1
    clock.now = 86_402.0
    assert await heard(fal)
    assert len(asked.asked) == 2


async def test_calls_that_come_at_once_ask_for_the_keys_once(clock):
    asked = Vendor(key_set(OLD))
    fal = Fal(asked)
    assert await asyncio.gather(*(heard(fal) for _ in range(5))) == [True] * 5
    assert len(asked.asked) == 1


async def test_new_keys_are_asked_for_when_none_fits_but_once_a_minute_at_most(clock):
    asked = Vendor(key_set(OLD), key_set(OLD), key_set(NEW))
    fal = Fal(asked)
    assert await heard(fal, OLD)
    for now, good, times in ((61.0, False, 1), (61.5, False, 2), (121.0, False, 2), (122.0, True, 3)):
        clock.now = now
        assert (await heard(fal, NEW), len(asked.asked)) == (good, times)


async def test_keys_that_cannot_be_had_are_an_error_and_are_asked_for_again(clock):
    fal = Fal(Vendor(Unavailable("away"), Rejected("away"), key_set(OLD)))
    for _ in range(2):
        with pytest.raises(Unavailable, match="away"):
            await heard(fal)
    assert await heard(fal) is True


async def test_keys_older_than_a_day_are_not_used_when_new_ones_cannot_be_had(clock):
    fal = Fal(Vendor(key_set(OLD), Unavailable("away")))
    assert await heard(fal)
    clock.now += 86_401.0
    with pytest.raises(Unavailable, match="away"):
        await heard(fal)


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "RSA"}]}'])
async def test_a_key_set_that_cannot_be_read_is_malformed(body):
    async def keys(_request):
        return web.Response(text=body)

    app = web.Application()
    app.router.add_get("/queue/.well-known/jwks.json", keys)
    async with TestServer(app) as server, session() as http:
        fal = Fal(Wire(http, str(server.make_url("/queue/")), {}, classify=Fal.classify))
        with pytest.raises(Malformed):
            await heard(fal)


async def test_fals_own_keys_lie_at_another_host_of_its_own():
    real, proxy = Vendor(key_set(OLD), host="queue.fal.run"), Vendor(key_set(OLD), host="proxy.example")
    look_alike = Vendor(key_set(OLD), host="notfal.run")
    for wire in (real, proxy, look_alike):
        assert await heard(Fal(wire))
    address = "https://rest.fal.ai/.well-known/jwks.json"
    assert (real.asked, proxy.asked) == ([address], [".well-known/jwks.json"])
    assert look_alike.asked == [".well-known/jwks.json"]
    assert Wire(None, Fal.base_url, {}, hosts=Fal.hosts)._address(address) == address


@pytest.mark.parametrize("fault", [None, "job_fails"])
async def test_the_stand_ins_own_call_is_verified(fault):
    calls = []

    async def hook(request):
        calls.append((request.headers, await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with (
        Simulator(vendors=[vendor.Fal], speed=200) as sim,
        at(sim, Fal) as fal,
        TestServer(app) as server,
    ):
        if fault:
            sim.fault(fault)
        await fal.submit(replace(call("fal"), webhook=str(server.make_url("/hook"))))
        await until(lambda: calls)
        ((given, body),) = calls
        sent = float(given["X-Fal-Webhook-Timestamp"])
        assert await fal.verify(given, body, None, sent) is True
        assert await fal.verify(given, body + b" ", None, sent) is False
    assert sim.mistakes == []
