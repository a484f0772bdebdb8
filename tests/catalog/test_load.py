from collections import Counter
from importlib.resources import files

import pytest

from limner.catalog.fit import Fitted, fit
from limner.catalog.load import parse, shipped, words
from limner.core.errors import SetupError
from tests.fakes import request

ENTRY = "[provider]\ntitle = 'Easel'\ndescription = 'Paints.'\nwebsite = 'https://easel.example'\n"


def test_every_shipped_model_draws_every_preset_and_its_default():
    models = shipped()
    assert models
    for model in models:
        for quality in (None, "fast", "standard", "quality", "ultra"):
            assert isinstance(fit(wanted(model, quality), model), Fitted), (model.provider, model.id)


def wanted(model, quality):
    """The plainest order the model can do."""
    operation = "generate" if "generate" in model.operations else min(model.operations)
    inputs = () if operation == "generate" else ("0" * 64,)
    mask = "0" * 64 if operation == "inpaint" else None
    return request(operation=operation, inputs=inputs, mask=mask, quality=quality)


def test_a_shipped_name_means_one_model_at_each_provider():
    for provider in {model.provider for model in shipped()}:
        here = [model for model in shipped() if model.provider == provider]
        names = Counter(name for model in here for name in {model.id, *model.aliases, *model.stands_in_for})
        assert [name for name, times in names.items() if times > 1] == []


def test_shipped_prices_say_where_and_when_they_were_read():
    for model in shipped():
        if model.price is not None:
            assert model.price.source
            assert model.price.read_on.year >= 2025


def test_a_model_is_known_by_each_of_its_names():
    (starter,) = [model for model in shipped() if model.id == "starter"]
    assert all(starter.known_as(name) for name in ("starter", "local/starter", "default", "dall-e-3"))
    assert not starter.known_as("star")


def test_the_starters_words_are_those_of_its_tokenizer():
    (starter,) = [model for model in shipped() if model.id == "starter"]
    known = words(starter.words_file)
    assert {"a", "red", "fox"} <= known
    assert files("limner").joinpath(starter.words_file).is_file()


def test_a_missing_vocabulary_says_how_to_mend_it():
    with pytest.raises(SetupError, match=r"nowhere\.json in the limner package is missing or broken"):
        words("engine/starter/nowhere.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = [", r"catalog file .*easel\.toml cannot be read: "),
        ("x = 1", r"catalog file easel\.toml: a \[provider\] table with title"),
        (ENTRY + "[[models]]\nid = 'a'", r"catalog file easel\.toml, model 'a': name: Field required"),
        (ENTRY + "[[models]]\nid = 'a'\ncolour = 'red'", r"catalog file easel\.toml, model 'a': "),
        (ENTRY + "models = 3", r"catalog file easel\.toml: "),
    ],
)
def test_a_wrong_catalog_file_is_named(tmp_path, text, said):
    (tmp_path / "easel.toml").write_text(text)
    with pytest.raises(SetupError, match=said):
        parse(tmp_path / "easel.toml")


def test_a_catalog_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SetupError, match=r"easel\.toml"):
        parse(tmp_path / "easel.toml")
