"""The table of design section 5, class by class."""

import pytest

from limner.core import errors
from limner.core.errors import LimnerError, ProviderError

# class: retry, fallback, trips, rests, billed
TABLE = {
    errors.Rejected: (False, True, False, False, "no"),
    errors.Refused: (False, False, False, False, "no"),
    errors.Unauthorized: (False, True, False, True, "no"),
    errors.RateLimited: (True, True, False, True, "no"),
    errors.Unavailable: (True, True, True, False, "no"),
    errors.TimedOut: (False, True, True, False, "maybe"),
    errors.Malformed: (False, True, True, False, "maybe"),
    errors.Lost: (False, True, False, False, "maybe"),
    errors.Unknown: (False, True, True, False, "maybe"),
    errors.Exhausted: (False, False, False, False, "no"),
}
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LimnerError)]


def test_every_provider_error_has_its_row():
    kinds = {kind for kind in CLASSES if issubclass(kind, ProviderError)} - {ProviderError}
    assert kinds == set(TABLE)


@pytest.mark.parametrize("kind", TABLE)
def test_an_error_answers_what_next(kind):
    assert (kind.retry, kind.fallback, kind.trips, kind.rests, kind.billed) == TABLE[kind]


def test_codes_tell_the_classes_apart():
    codes = [kind.code for kind in CLASSES]
    assert len(set(codes)) == len(codes)


def test_details_travel_with_the_error():
    assert errors.InvalidRequest("no", "width").field == "width"
    assert errors.NoRoute("no", {"a": "b"}).reasons == {"a": "b"}
    assert errors.NoRoute("no").reasons == {}
    assert errors.Exhausted("no").failures == {}
    assert errors.OverLimit("slow", 3.0).after_s == 3.0
    assert errors.RateLimited("slow").after_s == 1.0
    assert errors.HomeInUse("taken", "http://127.0.0.1:8003").url == "http://127.0.0.1:8003"
    assert issubclass(errors.HomeInUse, errors.SetupError)
