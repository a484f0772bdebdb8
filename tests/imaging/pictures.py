"""Pictures and recipes for the tests of this folder."""

from io import BytesIO

from PIL import Image

from limner.core.job import Recipe
from limner.core.request import GenerateRequest

SAVED = {
    "png": {"format": "PNG"},
    "jpeg": {"format": "JPEG", "quality": 95},
    "webp": {"format": "WEBP", "quality": 90},
    "webp-lossless": {"format": "WEBP", "lossless": True},
    "webp-lossless-alpha": {"format": "WEBP", "lossless": True},
    "webp-alpha": {"format": "WEBP", "quality": 90},
}


def painted(width=48, height=32, mode="RGB"):
    """A gradient from black over red and green, see-through to the right where the mode allows."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    bands = [across, down, Image.new("L", (width, height), 60)]
    if mode == "RGBA":
        bands.append(across.point(lambda value: 255 - value))
    return Image.merge(mode, bands)


def saved(image, form, **options):
    out = BytesIO()
    image.save(out, **SAVED[form], **options)
    return out.getvalue()


def picture(form="png", width=48, height=32, **options):
    return saved(painted(width, height, "RGBA" if form.endswith("alpha") else "RGB"), form, **options)


def pixels(data):
    with Image.open(BytesIO(data)) as image:
        return image.size, image.mode, image.tobytes()


def recipe(prompt="a red fox", negative=None, model="limner-small", **fields):
    known = {"width": 48, "height": 32, "steps": 20, "guidance_scale": 7, "seed": 42} | fields
    request = GenerateRequest(prompt=prompt, negative_prompt=negative, **known)
    return Recipe(limner="0.1.0", prompt=prompt, request=request, provider="engine", model=model)
