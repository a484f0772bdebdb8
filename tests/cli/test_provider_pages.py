"""The pages of the providers, as readers of the documentation see them."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from limner.catalog.load import Listing
from limner.catalog.model import Price, PriceRow, ProviderEntry
from limner.cli import provider_pages
from limner.cli.provider_pages import index, page, pages
from limner.providers.base import Recovery
from limner.providers.find import installed
from tests.fakes import model
from tests.test_accounts import kind

ENTRY = ProviderEntry(title="Easel", description="Paints.", website="https://easel.example")
EASEL = kind("easel", key_env=("EASEL_API_KEY", "PAINT_KEY"))
BOX = kind("own-box", self_hosted=True, needs_key=False, url_env=())


def listing(*models, **entry):
    return Listing("easel", ENTRY.model_copy(update=entry), models)


def rows(text, heading="| model"):
    """The cells of each row of the table that begins so."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(heading))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line[1:-1].split("|")])
    return found


def sold(usd, unit="image", more=()):
    priced = [PriceRow(usd=Decimal(one)) for one in more]
    return Price(
        usd=Decimal(usd), unit=unit, rows=priced, source="easel.example/pricing", read_on=date(2026, 11, 1)
    )


# -- every shipped provider ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> dict[str, str]:
    return {path.stem: text for path, text in pages(Path("docs")).items()}


def test_every_provider_has_a_page_and_a_line_in_the_list(shipped):
    assert set(shipped) == {"index", *installed()}
    for name in installed():
        assert f"({name}.md) | `{name}` |" in shipped["index"]


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head(shipped):
    for name, text in shipped.items():
        cells = 0
        for line in text.splitlines():
            if not line.startswith("|"):
                cells = 0
                continue
            found = len(re.findall(r"(?<!\\)\|", line))
            cells = cells or found
            assert found == cells, (name, line)


def test_no_page_holds_a_value_of_the_code(shipped):
    for name, text in shipped.items():
        assert not re.search(r"\bNone\b|\bDecimal\(|\bFalse\b|\bTrue\b|\{'|frozenset", text), name
        assert text.startswith("<!-- Written by `make docs`")
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_every_price_of_a_page_says_where_it_was_read(shipped):
    for name, text in shipped.items():
        if "## Models" not in text:
            continue
        for row in rows(text):
            *_, price, read = row
            assert (read != "") == (price.startswith("$")), (name, row)


# -- one of our own --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "shown", "read"),
    [
        (None, "unknown", ""),
        (sold("0"), "free", ""),
        (sold("0.04"), "$0.04 per image", "2026-11-01, easel.example/pricing"),
        (sold("0.04", "token"), "$0.04 per image", "2026-11-01, easel.example/pricing"),
        (sold("0.0025", "megapixel"), "$0.0025 per megapixel", "2026-11-01, easel.example/pricing"),
        (
            sold("0.04", more=("0.02", "0.12")),
            "$0.02 to $0.12 per image",
            "2026-11-01, easel.example/pricing",
        ),
        (sold("0", more=("0.02",)), "free to $0.02 per image", "2026-11-01, easel.example/pricing"),
        (sold("0.04", "second", more=("0.04",)), "$0.04 per second", "2026-11-01, easel.example/pricing"),
    ],
)
def test_a_model_is_a_row_with_its_price(price, shown, read):
    text = page(listing(model(usd=None, price=price, aliases=("nice",))), EASEL)
    assert rows(text) == [
        ["`easel-model`<br>Easel<br>also `nice`", "`easel/one`", "standard", "generate", "64x64", shown, read]
    ]


def test_a_model_for_any_name_says_how_it_is_asked_for():
    text = page(listing(model(open=True, ref="")), EASEL)
    assert rows(text)[0][1] == "any name, as `easel/NAME`"
    assert rows(page(listing(model(ref="")), EASEL))[0][1] == "as it is set there"


@pytest.mark.parametrize(
    ("recovery", "said"),
    [
        (Recovery.NAMED, "Limner chooses the order's id"),
        (Recovery.TICKETED, "looked for in the vendor's list"),
        (Recovery.BLIND, "cannot be asked for again"),
    ],
)
def test_what_becomes_of_a_lost_answer_is_said(recovery, said):
    text = page(listing(model()), kind("easel", recovery=recovery))
    assert said in text


@pytest.mark.parametrize(
    ("of", "needs"),
    [
        (EASEL, "a key in `EASEL_API_KEY`"),
        (kind("easel"), "a key in `LIMNER_EASEL_KEY`"),
        (BOX, "its address in `LIMNER_OWN_BOX_URL`"),
        (kind("local"), "nothing"),
    ],
)
def test_what_a_provider_needs_is_named_as_it_is_set(of, needs):
    assert f"- Needs: {needs}" in page(listing(model()), of)
    assert f"| {needs} |" in index([Listing(of.name, ENTRY, (model(),))], {of.name: of})


def test_options_stand_with_their_values_and_models_that_share_them_stand_together():
    grain = {
        "grain": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5, "description": "Coarser."},
        "mood": {"enum": ["calm", 2, None], "default": "calm"},
        "raw": {"type": "boolean", "default": False, "description": "As it is."},
        "any": {},
    }
    text = page(
        listing(model(options=grain), model(id="b", options=grain), model(id="c", options={"raw": {}})), EASEL
    )
    assert "## Options of `easel-model`, `b`\n" in text
    assert "## Options of `c`\n" in text
    assert (
        rows(text, "| option")
        == [
            ["`grain`", "number 0 to 1, default `0.5`", "Coarser."],
            ["`mood`", "`calm`, `2`, `null`, default `calm`", ""],
            ["`raw`", "boolean, default `false`", "As it is."],
            ["`any`", "any", ""],
        ]
        or "| `any` | any |  |" in text
    )


def test_retired_models_stand_apart_with_who_serves_them():
    gone = model(id="old", retired=date(2026, 1, 1), successor="easel-model")
    lost = model(id="older", retired=date(2025, 1, 1))
    text = page(listing(model(), gone, lost), EASEL)
    assert [row[0] for row in rows(text)] == ["`easel-model`<br>Easel"]
    assert text.endswith(
        "## Retired\n\n| model | since | served by |\n|---|---|---|\n"
        "| `old` Easel | 2026-01-01 | `easel-model` |\n| `older` Easel | 2025-01-01 | nobody |\n"
    )
    assert "| 1 |" in index([listing(model(), gone, lost)], {"easel": EASEL})


def test_a_provider_that_cannot_draw_says_so_and_no_more():
    text = page(listing(cannot_draw="Easel sleeps."), EASEL)
    assert text.endswith("API: <https://easel.example>\n\n**Easel sleeps.**\n")
    assert "| none |" in index([listing(cannot_draw="Easel sleeps.")], {"easel": EASEL})


def test_a_plugin_without_a_catalog_file_has_no_page(monkeypatch):
    monkeypatch.setattr(provider_pages, "installed", lambda: {"easel": EASEL})
    assert [path.name for path in pages(Path("docs"))] == ["index.md"]
