import sys
from collections import Counter
from decimal import Decimal
from importlib import import_module
from importlib.resources import files
from types import ModuleType

import pytest

from limner.app import Limner
from limner.catalog.fit import Fitted, fit
from limner.catalog.load import Catalog, beside, parse, shipped, words
from limner.core.errors import SetupError
from tests import fakes
from tests.fakes import Desk, request, settings, vendor

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


# -- a catalog with files put over it --------------------------------------------------------------------

MODELS = """
[[models]]
id = "oil"
name = "Oil"
description = "Paints in oil."
ref = "easel/oil"
tier = "standard"
aliases = ["thick"]
[models.sizes]
default = [512, 512]
max_side = 1024
[models.steps]
default = 20
[models.options.grain]
type = "number"
[models.dialect]
path = "v1/oil"
[models.price]
usd = "0.04"
unit = "image"
source = "a test"
read_on = 2026-01-01

[[models]]
id = "ink"
name = "Ink"
description = "Draws in ink."
ref = "easel/ink"
tier = "fast"
[models.sizes]
default = [256, 256]
max_side = 512
"""


class Easel:
    """A catalog of one provider, and the folder whose files are put over it."""

    def __init__(self, tmp_path):
        self.shipped, self.folder = tmp_path / "shipped", tmp_path / "catalog"
        self.shipped.mkdir()
        (self.shipped / "easel.toml").write_text(ENTRY + MODELS)

    def catalog(self):
        return Catalog({"easel": self.shipped / "easel.toml"}, self.folder)

    def over(self, text, name="easel.toml"):
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)


@pytest.fixture
def easel(tmp_path):
    return Easel(tmp_path)


@pytest.fixture
def hasty(monkeypatch):
    """The folder is looked at every time."""
    monkeypatch.setattr("limner.catalog.load._LOOK_EVERY_S", 0.0)


def by_id(catalog):
    return {one.id: one for one in catalog.models()}


def test_a_users_file_changes_an_entry_key_by_key_and_leaves_the_rest(easel):
    before = by_id(easel.catalog())
    easel.over(
        '[[models]]\nid = "oil"\ntier = "high"\n[models.price]\nusd = "0.03"\n[models.dialect]\nx = 1\n'
    )
    after = by_id(easel.catalog())
    oil = before["oil"]
    assert after == before | {
        "oil": oil.model_copy(
            update={
                "tier": "high",
                "price": oil.price.model_copy(update={"usd": Decimal("0.03")}),
                "dialect": {"path": "v1/oil", "x": 1},
            }
        )
    }
    assert list(after) == ["oil", "ink"]


def test_lists_and_plain_values_are_replaced_whole(easel):
    easel.over('[[models]]\nid = "oil"\naliases = []\n[models.sizes]\ndefault = [64, 64]\n')
    oil = by_id(easel.catalog())["oil"]
    assert (oil.aliases, oil.sizes.default, oil.sizes.max_side) == ((), (64, 64), 1024)


def test_a_users_file_adds_models_and_renames_the_provider(easel):
    easel.over(
        "[provider]\ntitle = 'My easel'\n"
        '[[models]]\nid = "chalk"\nname = "Chalk"\ndescription = "d"\nref = "r"\ntier = "fast"\n'
        "sizes = { default = [64, 64], max_side = 64 }\n"
    )
    catalog = easel.catalog()
    assert list(by_id(catalog)) == ["oil", "ink", "chalk"]
    assert by_id(catalog)["chalk"].provider == "easel"
    entry = catalog.entry("easel")
    assert (entry.title, entry.website) == ("My easel", "https://easel.example")
    assert catalog.entry("nobody") is None


def test_a_file_of_a_provider_that_is_switched_off_changes_nobody(easel):
    easel.over("models = [", name="mural.toml")
    assert list(by_id(easel.catalog())) == ["oil", "ink"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = [", "cannot be read"),
        ("models = 3", "cannot be read"),
        ('[[models]]\nid = "chalk"', "model 'chalk': name: Field required"),
        ('[[models]]\ntier = "fast"', "model 'None': id: Field required"),
        ('[[models]]\nid = "oil"\ncolour = 1', "model 'oil': colour: Extra inputs are not permitted"),
        ('[[models]]\nid = "oil"\nsizes = 3', "model 'oil': sizes: Input should be a valid dictionary"),
        (
            '[[models]]\nid = "oil"\n[models.options.grain]\ntype = 3',
            "model 'oil': options.grain: is no JSON",
        ),
        (
            '[[models]]\nid = "oil"\n[models.options.grain]\ndefault = "x"',
            "model 'oil': options.grain: default: \"x\" is not of type",
        ),
        ('[[models]]\nid = "oil"\n[models.dialect]\nworkflow_file = "gone.json"', "cannot be read"),
        ('[[models]]\nid = "oil"\ndialect = 3', "cannot be read"),
        (
            '[[models]]\nid = "oil"\nretired = 2026-01-01\nsuccessor = "water"',
            "oil names the successor 'water', which is not there",
        ),
        (
            (
                '[[models]]\nid = "oil"\nretired = 2026-01-01\nsuccessor = "ink"\n'
                '[[models]]\nid = "ink"\nretired = 2026-01-02\n'
            ),
            "oil names the successor 'ink', which is not there",
        ),
    ],
)
def test_a_wrong_users_file_stops_the_start_with_its_place(easel, text, said):
    easel.over(text)
    with pytest.raises(SetupError) as caught:
        easel.catalog()
    assert str(easel.folder / "easel.toml") in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.usefixtures("hasty")
def test_a_change_is_seen_without_a_restart_and_so_is_its_end(easel):
    catalog = easel.catalog()
    before = by_id(catalog)
    easel.over('[[models]]\nid = "oil"\ntier = "high"\n')
    assert by_id(catalog)["oil"].tier == "high"
    easel.over('[[models]]\nid = "oil"\ntier = "ultra" # longer\n')
    assert by_id(catalog)["oil"].tier == "ultra"
    (easel.folder / "easel.toml").unlink()
    assert by_id(catalog) == before


def test_the_folder_is_not_looked_at_for_every_request(easel):
    catalog = easel.catalog()
    easel.over('[[models]]\nid = "oil"\ntier = "high"\n')
    assert by_id(catalog)["oil"].tier == "standard"


@pytest.mark.usefixtures("hasty")
def test_a_broken_file_leaves_what_was_and_is_told_once(easel, caplog):
    easel.over('[[models]]\nid = "oil"\ntier = "high"\n')
    catalog = easel.catalog()
    good = by_id(catalog)
    easel.over("models = [")
    for _ in range(3):
        assert by_id(catalog) == good
    assert str(easel.folder / "easel.toml") in catalog.fault
    assert [record.getMessage() for record in caplog.records] == [
        f"the catalog stays as it was: {catalog.fault}"
    ]
    easel.over('[[models]]\nid = "oil"\ntier = "ultra"\n')
    assert (by_id(catalog)["oil"].tier, catalog.fault) == ("ultra", None)


@pytest.mark.usefixtures("hasty")
def test_a_file_that_may_not_be_looked_at_is_told_and_stops_nothing(easel):
    easel.over("")
    (easel.folder / "easel.toml").unlink()
    (easel.folder / "easel.toml").symlink_to(easel.folder / "gone")
    with pytest.raises(SetupError, match="cannot be read"):
        easel.catalog()
    (easel.folder / "easel.toml").unlink()
    catalog = easel.catalog()
    (easel.folder / "easel.toml").symlink_to(easel.folder / "gone")
    assert list(by_id(catalog)) == ["oil", "ink"]


@pytest.mark.usefixtures("hasty")
def test_a_file_named_in_a_dialect_is_read_and_read_again_when_it_changes(easel):
    (easel.shipped / "flow.json").write_text("{1}")
    (easel.shipped / "easel.toml").write_text(
        ENTRY + MODELS.replace('path = "v1/oil"', 'path = "v1/oil"\nworkflow_file = "flow.json"')
    )
    catalog = easel.catalog()
    assert by_id(catalog)["oil"].dialect == {"path": "v1/oil", "workflow": "{1}"}
    easel.over('[[models]]\nid = "oil"\n[models.dialect]\nworkflow_file = "flows/mine.json"\n')
    (easel.folder / "flows").mkdir()
    (easel.folder / "flows" / "mine.json").write_text("{2}")
    assert by_id(catalog)["oil"].dialect["workflow"] == "{2}"
    (easel.folder / "flows" / "mine.json").write_text("{three}")
    assert by_id(catalog)["oil"].dialect["workflow"] == "{three}"


def test_a_file_that_is_no_text_is_named(easel):
    (easel.shipped / "flow.json").write_bytes(b"\xff")
    easel.over('[[models]]\nid = "oil"\n[models.dialect]\nx_file = "../shipped/flow.json"\n')
    with pytest.raises(SetupError, match=r"easel\.toml cannot be read"):
        easel.catalog()


def test_a_catalog_of_a_programs_own_models_has_an_entry_for_each_provider():
    catalog = Catalog.of([fakes.model("mural"), fakes.model("easel"), fakes.model("mural", id="second")])
    assert [(one.provider, [model.id for model in one.models]) for one in catalog.listings()] == [
        ("mural", ["mural-model", "second"]),
        ("easel", ["easel-model"]),
    ]
    assert catalog.entry("easel").title == "easel"


# -- beside a plugin -------------------------------------------------------------------------------------


def plugin(monkeypatch, tmp_path, where):
    """A module of that name on disk, with a catalog file beside it."""
    file = tmp_path / where
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    (file.parent / "painter.toml").write_text(ENTRY)
    monkeypatch.syspath_prepend(tmp_path)
    name = where.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    module = import_module(name)
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, name, module)
    return name


@pytest.mark.parametrize(
    "where", ["limner_plugin_one.py", "limner_plugin_two/__init__.py", "limner_plugin_three/inner.py"]
)
def test_a_plugins_file_is_found_beside_its_module(monkeypatch, tmp_path, where):
    name = plugin(monkeypatch, tmp_path, where)
    assert parse(beside(name, "painter")).entry.title == "Easel"
    assert beside(name, "sculptor") is None


def test_what_was_typed_at_a_prompt_has_nothing_beside_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    assert beside("__main__", "easel") is None
    assert beside("a_module_that_is_gone", "easel") is None


def test_a_provider_class_of_a_script_needs_no_file(home):
    desk = Desk()
    kind = vendor(desk)
    kind.__module__ = "__main__"
    assert Limner(settings(home), providers={"easel": kind}).models() == ()
