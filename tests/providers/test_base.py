import pytest

from limner.core.errors import Lost, Malformed, Rejected
from limner.providers.base import Call, Done, Health, Provider, Recovery
from limner.wire import Answer
from tests.fakes import request


class Plain(Provider):
    """A vendor that says no more than it must."""

    name = "plain"
    base_url = "http://127.0.0.1:9/"
    recovery = Recovery.BLIND
    needs_key = False

    async def submit(self, call):
        return Done((b"",))


class Odd(Plain):
    """A vendor with a header of its own and something free to ask for."""

    key_header, key_prefix = "x-paint", "Key "
    probe_path = "me"


class Asked:
    """A wire that gives one answer to what is asked."""

    def __init__(self, body):
        self.body, self.paths = body, []

    async def get(self, path, *, into):
        self.paths.append(path)
        return Answer(200, {}, self.body).read(into)


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
    assert (Odd.auth("secret"), Odd.auth("")) == ({"x-paint": "Key secret"}, {})


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"user": "me"}'])
async def test_a_probe_asks_for_what_is_free(body):
    wire = Asked(body)
    assert (await Odd(wire).probe(), wire.paths) == (Health(ok=True), ["me"])


async def test_a_page_where_a_vendor_should_be_is_not_taken_for_it():
    with pytest.raises(Malformed, match="cannot read the answer: <html>"):
        await Odd(Asked(b"<html>")).probe()


def test_answers_are_read_by_their_status():
    assert isinstance(Plain.classify(400, {}, b"no"), Rejected)
    assert Plain.classify(200, {}, b"yes") is None
