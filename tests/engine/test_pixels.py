import io
from dataclasses import replace

import numpy as np
from PIL import Image

from limner.engine import pixels
from limner.engine.values import Size

GRADIENT = np.linspace(0, 255, 96 * 64 * 3).reshape(64, 96, 3).astype(np.uint8)


def test_a_picture_a_little_too_large_is_cut_at_the_centre():
    assert np.array_equal(pixels.fit(GRADIENT, Size(80, 64)), GRADIENT[:, 8:88])


def test_a_picture_of_the_right_size_is_untouched():
    assert pixels.fit(GRADIENT, Size(96, 64)) is not None
    assert np.array_equal(pixels.fit(GRADIENT, Size(96, 64)), GRADIENT)


def test_a_picture_too_small_is_enlarged_and_then_cut():
    assert pixels.fit(GRADIENT, Size(200, 200)).shape == (200, 200, 3)


def test_a_picture_much_too_large_is_reduced():
    reduced = pixels.fit(np.full((256, 256, 3), 7, np.uint8), Size(64, 64))
    assert reduced.shape == (64, 64, 3)
    assert (reduced == 7).all()


def test_a_png_holds_the_pixels_and_nothing_else():
    png = pixels.png(GRADIENT)
    image = Image.open(io.BytesIO(png))
    assert np.array_equal(np.asarray(image), GRADIENT)
    assert image.info == {}
    assert png == pixels.png(GRADIENT.copy())


def test_model_range_becomes_bytes_and_what_is_beyond_is_clipped():
    image = np.array([-2.0, -1.0, 0.0, 1.0, 2.0], np.float32)[None, None].repeat(3, axis=0)
    assert pixels.quantise(image)[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_a_sketch_shows_the_colours_of_the_linear_map(backend):
    facts = replace(
        backend.facts,
        preview_matrix=np.eye(4, 3, dtype=np.float32),
        preview_bias=np.array([0, 0.5, 1], np.float32),
    )
    latents = np.zeros((4, 16, 8), np.float32)
    latents[0] = 1
    sketch = pixels.sketch(latents, facts)
    assert sketch.shape == (256, 128, 3)
    assert sketch[100, 50].tolist() == [255, 128, 255]
