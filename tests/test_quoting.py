import base64
import hmac
import json
import stat
import threading
from decimal import Decimal

import pytest
from pydantic import SecretStr

from limner import quoting
from limner.core.errors import InvalidRequest, SetupError
from limner.core.quote import Agreed, Note, Route
from limner.core.request import Policy
from limner.quoting import Quoting, open_quoting
from tests.fakes import model, request, target

NOW = 1_795_132_800.0
QUOTES = Quoting(b"k" * 32, valid_s=900)
WAY_OUT = "; ask for a new one at POST /v1/quotes, or leave it out"


def quoted(wanted=None, usd="0.04", **changes):
    """A quote of one target for the request."""
    best = target("easel", usd).model_copy(update=changes)
    return QUOTES.quote(wanted or request(), Route(targets=(best,)), model(), NOW)


def accepting(token, **changes):
    return request(quote=token, **changes)


def signed(values, version="q1", secret=QUOTES.secret):
    """A token as somebody with the key could make it."""

    def text(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    payload = f"{version}.{text(json.dumps(values).encode())}"
    return f"{payload}.{text(hmac.digest(secret, payload.encode(), 'sha256')[:16])}"


def test_a_quote_that_is_accepted_promises_who_draws_and_at_what_price():
    notes = (Note(field="size", message="moved"),)
    token = quoted(notes=notes, ref="easel/one@2").token
    promised = QUOTES.accepted(accepting(token), NOW)
    assert promised == Agreed(
        provider="easel",
        account="easel",
        model="m",
        ref="easel/one@2",
        price_usd=Decimal("0.04"),
        notes=promised.notes,
    )
    assert quoting.agreed(accepting(token)) == promised


@pytest.mark.parametrize(
    ("usd", "promised"),
    [(None, None), ("0", Decimal(0)), ("0.0000001", Decimal("0.000001")), ("12.5", Decimal("12.5"))],
)
def test_a_price_is_promised_to_the_micro_dollar_and_an_unknown_one_not_at_all(usd, promised):
    assert QUOTES.accepted(accepting(quoted(usd=usd).token), NOW).price_usd == promised


def test_without_a_quote_nothing_is_promised():
    assert (QUOTES.accepted(request(), NOW), quoting.agreed(request())) == (None, None)


def test_a_token_is_short_and_fits_an_address():
    token = quoted().token
    assert len(token) < 220
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@pytest.mark.parametrize(
    "same",
    [
        {"user": "ann"},
        {"project": "spring"},
        {"priority": 9},
        {"format": "jpeg", "compression": 80},
        {"policy": Policy(max_cost_usd=Decimal(1), fallback=False, deadline_s=5)},
    ],
)
def test_who_asks_where_it_is_kept_and_how_it_is_routed_may_differ(same):
    assert QUOTES.accepted(accepting(quoted().token, **same), NOW) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a red fox."},
        {"count": 2},
        {"width": 64, "height": 64},
        {"seed": 8},
        {"seed": None},
        {"model": "m"},
        {"provider": "easel"},
        {"quality": "fast"},
        {"steps": 12},
        {"style": "flat"},
        {"negative_prompt": "a"},
        {"partial_images": 1},
        {"options": {"x": 1}},
    ],
)
def test_another_request_cannot_be_ordered_by_a_quote(other):
    with pytest.raises(InvalidRequest, match="was given for another request") as caught:
        QUOTES.accepted(accepting(quoted().token, **other), NOW)
    assert (str(caught.value), caught.value.field) == (
        f"quote was given for another request{WAY_OUT}",
        "quote",
    )


@pytest.mark.parametrize(
    ("later_s", "valid"),
    [(-3600, True), (0, True), (900, True), (900 + quoting.SKEW_S, True), (900 + quoting.SKEW_S + 1, False)],
)
def test_a_quote_ends_a_little_after_it_says(later_s, valid):
    token = quoted().token
    if valid:
        assert QUOTES.accepted(accepting(token), NOW + later_s) is not None
    else:
        with pytest.raises(InvalidRequest, match="quote has ended"):
            QUOTES.accepted(accepting(token), NOW + later_s)


TOKEN = quoted().token


@pytest.mark.parametrize(
    "forged",
    [
        "x",
        ".",
        "..",
        "q1..",
        "q1",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        " " + TOKEN,
        TOKEN.replace("q1", "q2"),
        TOKEN.rpartition(".")[0] + ".",
        TOKEN.rpartition(".")[0] + ".é",
        TOKEN[:10] + ("A" if TOKEN[10] != "A" else "B") + TOKEN[11:],
        signed([], secret=b"x" * 32),
        "🦊.🦊.🦊",
        "A" * 4096,
    ],
)
def test_what_this_server_did_not_sign_is_refused(forged):
    with pytest.raises(InvalidRequest, match="was not given by this server, or was changed on the way"):
        QUOTES.accepted(accepting(forged), NOW)


def test_a_quote_of_another_server_is_refused():
    other = Quoting(b"j" * 32, 900).quote(request(), Route(targets=(target("easel"),)), None, NOW)
    with pytest.raises(InvalidRequest, match="was not given by this server"):
        QUOTES.accepted(accepting(other.token), NOW)


@pytest.mark.parametrize(
    "token",
    [signed(["f", "p"]), signed(7), signed(None), signed({}), signed([1] * 9), signed([0] * 8, version="q0")],
)
def test_what_another_version_signed_is_refused_and_not_guessed_at(token):
    with pytest.raises(InvalidRequest, match="quote cannot be read by this version"):
        QUOTES.accepted(accepting(token), NOW)


def test_a_target_that_is_not_the_quoted_one_says_so():
    promised = QUOTES.accepted(accepting(quoted().token), NOW)
    route = quoting.told(Route(targets=(target("easel"), target("mural"))), promised)
    said = Note(field="quote", message="easel/m was quoted; mural/m draws instead")
    assert [one.notes for one in route.targets] == [(), (said,)]


def test_bends_that_were_not_quoted_are_told():
    promised = QUOTES.accepted(accepting(quoted().token), NOW)
    bent = Note(field="size", message="moved")
    route = Route(targets=(target("easel").model_copy(update={"notes": (bent,)}),))
    said = Note(field="quote", message="the catalog changed since the quote: what is bent differs")
    assert quoting.told(route, promised).targets[0].notes == (said, bent)


def test_a_quote_tells_what_the_model_can_do():
    entry = model(free_style=True, options={"raw": {"type": "boolean"}})
    told = QUOTES.quote(request(), Route(targets=(target("easel"),)), entry, NOW)
    assert told.constraints.model_dump() == {
        "operations": ("generate",),
        "max_count": 4,
        "max_prompt": 10_000,
        "max_inputs": 1,
        "min_side": 64,
        "max_side": 1024,
        "multiple_of": 8,
        "min_pixels": None,
        "max_pixels": None,
        "sizes": (),
        "other_sizes": False,
        "styles": ("flat",),
        "any_style": True,
        "options": {"raw": {"type": "boolean"}},
    }
    assert (told.valid_until, [one.model for one in told.route]) == (NOW + 900, ["m"])


def test_the_key_is_made_once_for_its_owner_alone_and_kept(tmp_path):
    first = open_quoting(tmp_path, None, 900)
    assert open_quoting(tmp_path, None, 900) == first
    path = tmp_path / "quote.key"
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (first.secret, 0o600)
    assert list(tmp_path.iterdir()) == [path]
    assert len(first.secret) == 32


def test_processes_that_make_the_key_at_once_get_the_same_one(tmp_path):
    start, keys = threading.Barrier(8), set()

    def make():
        start.wait()
        keys.add(open_quoting(tmp_path, None, 900).secret)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(keys) == 1


def test_two_homes_sign_differently_and_one_secret_signs_alike(tmp_path):
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    assert len({open_quoting(home, None, 900).secret for home in homes}) == 2
    secret = SecretStr("correct horse battery")
    assert len({open_quoting(home, secret, 900).secret for home in (*homes, tmp_path / "none")}) == 1


def test_a_secret_that_is_too_short_is_refused(tmp_path):
    with pytest.raises(SetupError, match="quote_secret is too short: give at least 16 characters"):
        open_quoting(tmp_path, SecretStr("fifteen letters"), 900)


@pytest.mark.parametrize("held", [b"", b"x" * 31, b"x" * 33])
def test_a_key_file_that_is_none_is_told_with_the_way_out(tmp_path, held):
    (tmp_path / "quote.key").write_bytes(held)
    with pytest.raises(SetupError, match="is not a key of 32 bytes; remove it, and a new one is made"):
        open_quoting(tmp_path, None, 900)


def test_a_key_that_cannot_be_read_or_made_is_told(tmp_path):
    (tmp_path / "quote.key").mkdir()
    with pytest.raises(SetupError, match=r"quote\.key cannot be read or made: .*it signs quotes"):
        open_quoting(tmp_path, None, 900)
    with pytest.raises(SetupError, match=r"quote\.key cannot be read or made"):
        open_quoting(tmp_path / "gone", None, 900)


def test_the_secret_is_not_shown():
    assert "kkk" not in repr(QUOTES)
