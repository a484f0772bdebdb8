from io import BytesIO

import pytest
from PIL import Image

from limner.core.job import Recipe
from limner.imaging.metadata import embed
from limner.imaging.sniff import InvalidImage, sniff
from limner.jobs.pictures import finish
from tests.fakes import png, request

RECIPE = Recipe(limner="1", prompt="a red fox", request=request(), provider="easel", model="m")


async def test_a_picture_carries_its_recipe_and_is_the_same_file_each_time():
    picture = await finish(png(), request(), RECIPE)
    assert picture.data == embed(png(), RECIPE)
    assert (picture.kind, picture.notes) == (sniff(picture.data), ())
    assert await finish(png(), request(), RECIPE) == picture


@pytest.mark.parametrize("side", [64, 400])
@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
async def test_a_picture_of_any_size_becomes_what_was_asked_for(side, form):
    out = BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(out, "PNG")
    picture = await finish(out.getvalue(), request(format=form), RECIPE)
    assert (picture.kind.format, picture.kind.width, picture.notes) == (form, side, ())


async def test_a_picture_that_cannot_be_converted_is_kept_with_a_note():
    broken = png()[:45] + png()[50:]
    picture = await finish(broken, request(format="webp"), RECIPE)
    assert (picture.data, picture.kind.format) == (broken, "png")
    assert [note.field for note in picture.notes] == ["format"]
    assert picture.notes[0].message.startswith("kept as the provider sent it: ")


async def test_half_a_picture_is_no_picture():
    with pytest.raises(InvalidImage, match="cut off"):
        await finish(png()[:60], request(), RECIPE)


async def test_what_is_no_picture_is_said_to_be_none():
    with pytest.raises(InvalidImage):
        await finish(b"not a picture", request(), RECIPE)
