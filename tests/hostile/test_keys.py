"""A server that asks for a key: what is no key opens no door, and says nothing of those that are."""

import base64
import json

import httpx
import pytest

from tests.hostile.doors import DOORS
from tests.hostile.house import Net, clean, named, serving

KEY = "ann-has-a-long-key"
WRONG: tuple[dict[str, str | bytes], ...] = (
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer nobody"},
    {"authorization": f"Bearer {KEY[:-1]}"},
    {"authorization": f"Bearer {KEY}x"},
    {"authorization": f"Bearer {KEY.upper()}"},
    {"authorization": f"Digest {KEY}"},
    {"authorization": KEY},
    {"authorization": "Bearer " + "k" * 30_000},
    {"authorization": b"Bearer \xff\xfe"},
    {"authorization": "Bearer null"},
    {"authorization": "Bearer *"},
    {"authorization": "Bearer ' or 1=1 --"},
    {"authorization": "Basic !!!!"},
    {"authorization": "Basic " + base64.b64encode(b"ann").decode()},
    {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()},
    {"authorization": "Basic " + base64.b64encode(b"ann:\xff").decode()},
    {"x-api-key": "nobody"},
    {"x-api-key": f"{KEY}\t{KEY}"},
    {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "x-forwarded-user": "ann"},
    {"cookie": f"key={KEY}"},
)


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    home = tmp_path_factory.mktemp("locked") / "home"
    with Net().cast() as net, serving(home, api_keys=f"ann={KEY}") as (url, _limner):
        net.own.add(int(url.rpartition(":")[2]))
        with httpx.Client(base_url=url, timeout=60) as web:
            assert web.get("/v1/jobs", headers={"authorization": f"Bearer {KEY}"}).json()["data"] == []
            yield web
            assert web.get("/v1/jobs", headers={"x-api-key": KEY}).json()["data"] == []


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_what_is_no_key_opens_no_door(locked, door):
    for headers in WRONG:
        with named(headers):
            kind = {"content-type": "application/json"}
            body = json.dumps(door.body)
            answer = locked.request(door.method, door.path, content=body, headers=kind | door.more | headers)
            clean(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert KEY not in answer.text


def test_a_chat_without_a_key_is_refused_in_its_stream(locked):
    for headers in WRONG:
        with named(headers):
            body = {"messages": [{"role": "user", "content": "a red fox"}]}
            answer = locked.post("/chat", json=body, headers=headers)
            assert '"code":"UNAUTHORIZED"' in answer.text
            assert (answer.status_code, KEY in answer.text) == (200, False)
