import pytest

from limner.core.errors import Lost, Rejected
from limner.providers.base import Call, Done, Health, Provider, Recovery
from tests.fakes import request


class Plain(Provider):
    """A vendor that says no more than it must."""

    name = "plain"
    base_url = "http://127.0.0.1:9/"
    recovery = Recovery.BLIND
    needs_key = False

    async def submit(self, call):
        return Done((b"",))


async def test_a_vendor_that_says_no_more_than_it_must_is_asked_once_and_never_again():
    plain, call = Plain(None), Call("key", "m", request())
    with pytest.raises(Lost, match="plain: cannot be asked again about"):
        await plain.poll({"id": "7"})
    assert await plain.find(call) is None
    assert await plain.cancel({"id": "7"}) is None
    assert await plain.probe() == Health(ok=True)


def test_a_key_is_a_bearer_token_and_no_key_is_no_header():
    assert Plain.auth("secret") == {"Authorization": "Bearer secret"}
    assert Plain.auth("") == {}


def test_answers_are_read_by_their_status():
    assert isinstance(Plain.classify(400, {}, b"no"), Rejected)
    assert Plain.classify(200, {}, b"yes") is None
