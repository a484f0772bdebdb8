from datetime import date

from limner.api.models import listed
from tests.api.fakes import OWN, THEIRS


async def test_models_are_listed_once_per_id_with_openais_fields_and_the_catalogs(http):
    answer = await http.get("/v1/models")
    assert answer.status_code == 200
    body = answer.json()
    assert body["object"] == "list"
    assert len(body["data"]) == 1
    entry = body["data"][0]
    assert {name: entry[name] for name in ("id", "object", "created", "owned_by", "shutdown_date")} == {
        "id": "house",
        "object": "model",
        "created": 0,
        "owned_by": "local",
        "shutdown_date": None,
    }
    assert entry["providers"] == ["local", "easel"]
    assert entry["tier"] == "fast"
    assert entry["styles"] == ["watercolor", "pixel art"]
    assert entry["sizes"]["default"] == [256, 256]
    assert entry["price"] == {
        "usd": "0",
        "unit": "image",
        "rows": [],
        "steps": None,
        "whole_megapixels": False,
        "preview_usd": "0",
        "input_usd": "0",
        "tokens": {},
        "source": "free",
        "read_on": "2026-11-20",
    }
    assert [(offer["provider"], offer["ref"], offer["price"] is None) for offer in entry["offers"]] == [
        ("local", "house-v1", False),
        ("easel", "house-v1", True),
    ]


async def test_a_model_is_found_by_its_id_and_by_any_name_it_answers_to(http):
    found = [
        await http.get(f"/v1/models/{name}") for name in ("house", "house-small", "local/house", "dall-e-3")
    ]
    assert [(answer.status_code, answer.json()["id"]) for answer in found] == [(200, "house")] * 4


async def test_an_unknown_model_is_openais_404(http):
    answer = await http.get("/v1/models/no/such")
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "error": {
                "message": "The model 'no/such' does not exist here; GET /v1/models lists them",
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            }
        },
    )


def test_a_retired_model_says_when_it_closed_and_a_living_offer_comes_first():
    gone = OWN.model_copy(update={"retired": date(2026, 5, 12)})
    assert [(m.owned_by, m.shutdown_date) for m in listed([gone])] == [("local", "2026-05-12")]
    assert [(m.owned_by, m.shutdown_date, m.providers) for m in listed([gone, THEIRS])] == [
        ("easel", None, ("local", "easel"))
    ]
