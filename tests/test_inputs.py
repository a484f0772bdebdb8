"""Pictures that requests work on: checked when they come, kept, found again."""

import hashlib
import struct
import zlib
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image

from limner.core.errors import InvalidRequest
from limner.core.quote import Note
from limner.core.request import MAX_SIDE, GenerateRequest, Policy
from limner.inputs import MAX_INPUT_BYTES, Input
from tests.fakes import Desk, limner, model, png, request, rows, vendor

NOWHERE = "0" * 64
UNMADE = "01a1f940-c6dd-7ffd-9603-57ce89e91f39"


def file(fmt, size=(48, 32), mode="RGB"):
    out = BytesIO()
    Image.new(mode, size, (200,) * len(mode)).save(out, fmt)
    return out.getvalue()


def bomb(width, height):
    """A whole PNG of 100 bytes whose header promises many pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def works(name="easel", **changes):
    operations = {"generate", "edit", "inpaint", "image-to-image", "variation", "upscale"}
    return model(name, **{"operations": operations, "max_inputs": 3} | changes)


def here(home, desk=None, **changes):
    return limner(home, vendor(desk or Desk()), models=[works(**changes)])


async def refused(act):
    with pytest.raises(InvalidRequest) as caught:
        await act
    return caught.value.field, str(caught.value)


# -- keeping ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_is_kept_as_it_came_under_its_digest(home, fmt):
    data = file(fmt)
    async with here(home) as app:
        kept = await app.keep(data)
        assert kept == Input(
            digest=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            width=48,
            height=32,
            format=fmt.lower(),
        )
        assert await app._now.blobs.get(kept.digest) == data


async def test_the_same_picture_again_is_the_same_digest_and_kept_once(home):
    async with here(home) as app:
        assert await app.keep(png()) == await app.keep(png())
    assert rows(home, "SELECT count(*), max(size_bytes) FROM inputs") == [(1, len(png()))]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the picture is empty: 0 bytes"),
        (b"not a picture", "not a PNG, JPEG or WebP file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "not a PNG, JPEG or WebP file"),
        (b"GIF89a" + b"\0" * 100, "not a PNG, JPEG or WebP file"),
        (png()[:-20], "png cut off"),
        (png()[:30], "png cut off"),
        (file("JPEG", (256, 256))[:-300], "jpeg of"),
        (file("WEBP", (256, 256), "RGBA")[:60], "webp"),
        (bomb(60_000, 60_000), "png of 60000x60000 pixels; at most 64,000,000 pixels"),
        (bomb(8_001, 8_000), "png of 8001x8000 pixels"),
        (bomb(0, 8), "png of 0x8 pixels: a side is 0"),
        (bomb(64, 64), "png of"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 200, "png whose first chunk is not a header"),
    ],
    ids=lambda one: one if isinstance(one, str) else "file",
)
async def test_what_is_no_whole_picture_is_refused_and_leaves_nothing(home, data, said):
    async with here(home) as app:
        field, message = await refused(app.keep(data))
    assert field == "inputs"
    assert message.startswith("the picture cannot be read: ")
    assert said in message
    assert rows(home, "SELECT * FROM inputs") == []
    assert [path for path in (home / "storage").glob("blobs/**/*") if path.is_file()] == []


async def test_a_file_of_more_than_32_mib_is_refused_before_it_is_looked_at(home):
    async with here(home) as app:
        field, message = await refused(app.keep(b"\0" * (MAX_INPUT_BYTES + 1)))
    assert (field, message) == ("inputs", "the picture has 33,554,433 bytes; at most 33,554,432")


async def test_a_picture_that_was_sent_in_outlives_the_sweep_and_a_restart(home):
    async with here(home) as app:
        kept = await app.keep(png(colour="red"))
        orphan = await app._now.blobs.put(b"nobody names this")
        assert await app._now.blobs.sweep(-1.0, app._now.store.referenced) == 1
    async with here(home) as app:
        assert await app._now.blobs.sweep(-1.0, app._now.store.referenced) == 0
        assert await app._now.blobs.get(kept.digest) == png(colour="red")
        job = await app.draw(request(operation="edit", inputs=(kept.digest,)))
    assert orphan != kept.digest
    assert job.state == "succeeded"


# -- naming ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["estimate", "generate", "draw"])
async def test_a_picture_that_is_not_here_is_refused_by_every_verb_before_anything_is_bought(home, verb):
    desk = Desk()
    async with here(home, desk) as app:
        kept = await app.keep(png())
        act = getattr(app, verb)
        for wanted, field, said in (
            (
                {"operation": "edit", "inputs": (NOWHERE,)},
                "inputs",
                "the picture 000000000000... is not kept",
            ),
            ({"operation": "edit", "inputs": (UNMADE,)}, "inputs", f"no picture has the id {UNMADE}"),
            ({"operation": "edit", "inputs": (kept.digest, NOWHERE)}, "inputs", "is not kept here"),
            ({"operation": "inpaint", "inputs": (kept.digest,), "mask": NOWHERE}, "mask", "is not kept here"),
            (
                {"operation": "inpaint", "inputs": (kept.digest,), "mask": UNMADE},
                "mask",
                "no picture has the id",
            ),
        ):
            at, message = await refused(act(request(**wanted)))
            assert (at, message.startswith(f"{field}: "), said in message) == (field, True, True)
        assert await app.jobs() == []
    assert desk.bill == []


async def test_a_picture_made_here_may_be_named_by_id_or_digest_as_one_and_the_same(home):
    async with here(home) as app:
        made = (await app.draw(request())).images[0]
        by_id = await app.generate(request(operation="edit", inputs=(made.id,)), key="k")
        by_digest = await app.generate(request(operation="edit", inputs=(made.digest,)), key="k")
    assert by_id.id == by_digest.id
    assert by_id.request.inputs == (made.digest,)


async def test_a_mask_is_a_png_of_the_first_pictures_size(home):
    async with here(home) as app:
        first, second = await app.keep(file("PNG")), await app.keep(file("PNG", (64, 64)))
        wanted = {"operation": "inpaint", "inputs": (first.digest, second.digest)}
        jpeg = await app.keep(file("JPEG"))
        assert await refused(app.estimate(request(**wanted, mask=jpeg.digest))) == (
            "mask",
            "mask: must be a PNG that is transparent where to paint",
        )
        assert await refused(app.estimate(request(**wanted, mask=second.digest))) == (
            "mask",
            "mask: is 64x64 and the picture 48x32; both must have the same size",
        )
        mask = await app.keep(file("PNG", mode="RGBA"))
        quote = await app.estimate(request(**wanted, mask=mask.digest, width=64, height=64))
    assert (quote.price_usd, quote.notes) == (Decimal("0.04"), ())


@pytest.mark.parametrize(
    ("operation", "extra", "size"),
    [
        ("image-to-image", {}, (128, 96)),
        ("image-to-image", {"width": 64, "height": 64}, (64, 64)),
        ("edit", {}, (128, 96)),
        ("variation", {"prompt": ""}, (128, 96)),
        ("upscale", {"prompt": "", "scale": 2.0}, (64, 64)),
    ],
)
async def test_what_is_painted_over_keeps_its_size_unless_another_is_asked_for(home, operation, extra, size):
    desk = Desk()
    async with here(home, desk) as app:
        kept = await app.keep(file("PNG", (128, 96)))
        await app.draw(request(operation=operation, inputs=(kept.digest,), **extra))
    assert desk.calls[0].request.size == size


async def test_a_picture_longer_than_any_that_is_drawn_gives_no_size(home):
    desk = Desk()
    async with here(home, desk) as app:
        kept = await app.keep(file("PNG", (MAX_SIDE + 8, 8)))
        await app.draw(request(operation="image-to-image", inputs=(kept.digest,)))
    assert desk.calls[0].request.size == (64, 64)


async def test_a_picture_of_odd_size_is_painted_over_at_the_nearest_with_a_note(home):
    sizes = works().sizes.model_copy(update={"nearest": True})
    async with here(home, sizes=sizes) as app:
        kept = await app.keep(file("PNG", (101, 99)))
        quote = await app.estimate(request(operation="image-to-image", inputs=(kept.digest,)))
    assert (quote.width, quote.height) == (96, 96)
    assert quote.notes[0] == Note(field="size", message="101x99 is not drawn; 96x96 is the nearest")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"inputs": (NOWHERE,)}, "inputs generate takes 0 input pictures, not 1"),
        ({"operation": "edit"}, "inputs edit takes 1 to 16 input pictures, not 0"),
        (
            {"operation": "variation", "inputs": (NOWHERE,) * 2},
            "inputs variation takes 1 input pictures, not 2",
        ),
        ({"operation": "inpaint", "inputs": (NOWHERE,)}, "mask inpaint needs a mask"),
        (
            {"operation": "edit", "inputs": (NOWHERE,), "mask": NOWHERE},
            "mask edit takes no mask; the operation for it is inpaint",
        ),
    ],
)
async def test_an_operation_takes_as_many_pictures_as_it_can_use(home, fields, said):
    async with here(home) as app:
        assert (await refused(app.generate("a red fox", **fields)))[1] == said


@pytest.mark.parametrize("name", ["../../etc/passwd", "0" * 63, "A" * 64, UNMADE + "\n", "http://h/p.png"])
def test_a_picture_has_no_other_kind_of_name(name):
    with pytest.raises(ValueError, match="inputs"):
        GenerateRequest(prompt="x", operation="edit", inputs=(name,))


async def test_a_model_that_takes_fewer_pictures_does_not_fit(home):
    async with here(home) as app:
        kept = [(await app.keep(png(colour=colour))).digest for colour in ("red", "lime", "blue", "black")]
        field, message = await refused(app.estimate(request(operation="edit", inputs=kept)))
    assert (field, message) == ("inputs", "easel/easel-model: takes at most 3 input pictures")


async def test_a_recipe_with_pictures_is_made_again(home):
    async with here(home) as app:
        kept = await app.keep(png(colour="red"))
        job = await app.draw(request(operation="edit", inputs=(kept.digest,)))
        again = await app.draw(job.images[0].recipe.request, policy=Policy(strict=True))
    assert again.images[0].recipe.parents == job.images[0].recipe.parents == (kept.digest,)
