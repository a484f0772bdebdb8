import httpx
import pytest

from limner.api.app import create_app
from limner.api.caller import OPEN, key_of
from limner.core.errors import NoEntry
from tests.api.fakes import FakeLimner


class Locked(FakeLimner):
    def who(self, key: str | None) -> str:
        if key != "sesame":
            raise NoEntry("this server asks for a key")
        return "local"


@pytest.fixture
async def locked():
    transport = httpx.ASGITransport(create_app(Locked()))
    async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([(b"authorization", b"Bearer k")], "k"),
        ([(b"authorization", b"bearer  k ")], "k"),
        ([(b"x-api-key", b"k")], "k"),
        ([(b"x-api-key", b"other"), (b"authorization", b"Bearer k")], "k"),
        ([(b"authorization", b"Basic k")], None),
        ([(b"authorization", b"Basic dXNlcjpzZXNhbWU=")], "sesame"),
        ([(b"authorization", b"basic OnNlc2FtZTphbmQ6bW9yZQ==")], "sesame:and:more"),
        ([(b"authorization", b"Basic dXNlcg==")], None),
        ([(b"authorization", b"Basic /////w==")], None),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"x-api-key", b"")], None),
        ([], None),
    ],
)
def test_where_a_key_stands(headers, key):
    assert key_of(headers) == key


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/healthz", "/health", "/storage/images/p/x/a.png", "/v1/images/0190-1/file"]
)
def test_health_the_reference_and_pictures_ask_for_no_key(path):
    assert OPEN(path)


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/images/file", "/v1/jobs", "//", "/chat/x"])
def test_everything_else_does(path):
    assert not OPEN(path)


async def test_a_locked_server_draws_for_its_callers_only(locked):
    order = {"prompt": "a red fox", "model": "house"}
    refused = await locked.post("/v1/images/generations", json=order)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.json()["error"] == {
        "message": "this server asks for a key",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    drawn = await locked.post(
        "/v1/images/generations", json=order, headers={"Authorization": "Bearer sesame"}
    )
    assert drawn.status_code == 200


async def test_the_refusal_has_the_doors_own_shape(locked):
    assert (await locked.get("/v1/jobs")).json() == {
        "error": {"code": "no_entry", "message": "this server asks for a key"}
    }
