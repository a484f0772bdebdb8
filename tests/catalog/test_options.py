import pytest

from limner.catalog import options
from limner.catalog.fit import Fitted, Misfit, fit
from limner.catalog.load import shipped
from limner.core.quote import Note
from limner.core.request import Policy
from tests.fakes import Desk, limner, model, request, vendor

OPTIONS = {
    "quality": {"type": "string", "enum": ["low", "high"], "default": "high"},
    "grain": {"type": "number", "minimum": 0, "maximum": 1},
    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    "raw": {"type": "boolean", "default": False},
}
MODEL = model(options=OPTIONS, presets={"fast": {"quality": "low"}, "ultra": {"grain": 1}})


def test_the_models_schema_is_told_whole():
    assert options.schema(MODEL) == {
        "type": "object",
        "properties": OPTIONS,
        "additionalProperties": False,
    }
    assert options.schema(model())["properties"] == {}


def test_options_of_other_models_are_told_in_the_callers_order_and_not_sent():
    given = {"zeta": 1, "grain": 0.5, "alpha": None}
    assert options.unknown(given, MODEL) == ("zeta", "alpha")
    assert options.sent(given, None, MODEL) == {"quality": "high", "raw": False, "grain": 0.5}
    fitted = fit(request(options=given), MODEL)
    said = "is ignored: the model has quality, grain, tags, raw"
    assert fitted.notes == tuple(Note(field="options", message=f"{one} {said}") for one in ("zeta", "alpha"))
    assert fit(request(options={"x": 1}), model()).notes == (
        Note(field="options", message="x is ignored: the model has none"),
    )


def test_strict_refuses_an_option_the_model_does_not_have():
    found = fit(request(options={"x": 1}, policy=Policy(strict=True)), model())
    assert found == Misfit("options", "strict: x is ignored: the model has none")


@pytest.mark.parametrize(
    ("quality", "given", "sent"),
    [
        (None, {}, {"quality": "high", "raw": False}),
        ("fast", {}, {"quality": "low", "raw": False}),
        ("ultra", {}, {"quality": "high", "raw": False, "grain": 1}),
        ("quality", {}, {"quality": "high", "raw": False}),
        ("fast", {"quality": "high"}, {"quality": "high", "raw": False}),
        ("ultra", {"grain": 0.2, "raw": True}, {"quality": "high", "raw": True, "grain": 0.2}),
    ],
)
def test_the_caller_wins_over_the_preset_and_the_preset_over_the_default(quality, given, sent):
    assert options.sent(given, quality, MODEL) == sent


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, None),
        ({"quality": "low", "grain": 1, "tags": ["a", "b"], "raw": True}, None),
        ({"grain": 1.0}, None),
        ({"unknown": object}, None),
        ({"quality": "best"}, ("quality", '"best" is not one of "low" or "high"')),
        ({"quality": None}, ("quality", 'null is not of type "string"')),
        ({"grain": 2}, ("grain", "2 is greater than the maximum of 1")),
        ({"grain": "much"}, ("grain", '"much" is not of type "number"')),
        ({"grain": True}, ("grain", 'true is not of type "number"')),
        ({"raw": 1}, ("raw", '1 is not of type "boolean"')),
        ({"tags": "a"}, ("tags", '"a" is not of type "array"')),
        ({"tags": ["a", 1]}, ("tags", '1 is not of type "string"')),
        ({"tags": ["a"] * 3}, ("tags", '["a","a","a"] has more than 2 items')),
        ({"grain": 10**400}, ("grain", f"{10**400} is greater than the maximum of 1"[:300])),
    ],
)
def test_a_value_the_models_schema_refuses_is_told_with_the_reason(given, fault):
    assert options.wrong(given, MODEL) == fault


def test_a_wrong_value_is_a_misfit_of_that_model_and_long_ones_are_cut():
    assert fit(request(options={"quality": "best"}), MODEL) == Misfit(
        "options", 'option quality: "best" is not one of "low" or "high"'
    )
    found = fit(request(options={"quality": "x" * 10_000}), MODEL)
    assert isinstance(found, Misfit)
    assert len(found.reason) <= 320


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": 3}, "options.x: is no JSON schema: 3 is not valid"),
        ({"pattern": "("}, 'options.x: is no JSON schema: "(" is not a "regex"'),
        ({"type": "integer", "default": "many"}, 'options.x: default: "many" is not of type "integer"'),
    ],
)
def test_an_option_that_cannot_be_meant_is_told_by_name(schema, said):
    with pytest.raises(ValueError, match=r"^options\.x: ") as caught:
        options.check(model(options={"x": schema}))
    assert str(caught.value).startswith(said)


def test_every_shipped_default_preset_and_price_goes_by_the_models_own_options():
    for one in shipped():
        options.check(one)
        rows = one.price.rows if one.price else ()
        for given in (*one.presets.values(), *(row.options for row in rows)):
            assert (options.unknown(given, one), options.wrong(given, one)) == ((), None), one.id


def test_every_shipped_option_says_what_values_it_takes():
    silent = [
        (one.provider, one.id, name)
        for one in shipped()
        for name, option in one.options.items()
        if not {"type", "enum"} & set(option)
    ]
    assert silent == []


async def test_an_option_reaches_the_provider_with_the_rest_of_the_order(home):
    desk = Desk()
    async with limner(home, vendor(desk), models=[MODEL]) as app:
        job = await app.draw(request(quality="fast", width=64, height=64, options={"grain": 0.5, "other": 1}))
    assert desk.calls[0].request.options == {"quality": "low", "raw": False, "grain": 0.5}
    assert job.request.options == {"grain": 0.5, "other": 1}
    assert [note.field for note in job.receipt.notes] == ["options"]
    assert job.images[0].recipe.request.options == {"quality": "low", "raw": False, "grain": 0.5}


async def test_a_recipe_made_again_asks_for_the_same_options(home):
    desk = Desk()
    async with limner(home, vendor(desk), models=[MODEL]) as app:
        first = await app.draw(request(quality="fast"))
        again = await app.draw(first.images[0].recipe.request)
    assert isinstance(fit(first.images[0].recipe.request, MODEL), Fitted)
    assert again.images[0].digest == first.images[0].digest
    assert desk.calls[0].request.options == desk.calls[1].request.options
