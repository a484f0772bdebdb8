# requires: webuiapi==0.9.17 pillow==13.0.0
"""AUTOMATIC1111's own kind of client at Limner, unmodified: `webui_client.py <Limner's url>`."""

import base64
import io
import sys
from urllib.parse import urlsplit

import webuiapi
from PIL import Image, ImageDraw

URL = urlsplit(sys.argv[1])
done = 0


def check(what, got, wanted):
    global done  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"
    done += 1
    print(f"ok {what}", flush=True)


def drew(result):
    return result.info["limner"]["model"], [image.size for image in result.images]


api = webuiapi.WebUIApi(host=URL.hostname, port=URL.port)
source = Image.new("RGB", (128, 128), "teal")
mask = Image.new("L", (128, 128), 0)
ImageDraw.Draw(mask).rectangle((32, 32, 96, 96), fill=255)

check("models", {"sdxl", "sd-1.5"} <= {one["title"] for one in api.get_sd_models()}, True)
check("samplers", "Euler a" in api.util_get_sampler_names(), True)
check("schedulers", "karras" in api.util_get_scheduler_names(), True)
check("memory", sorted(api.get_memory()), ["cuda", "ram"])
api.util_set_model("sdxl", find_closest=False)
check("chosen", api.util_get_current_model(), "sdxl")
made = api.txt2img(prompt="a red fox", seed=1003, steps=5, batch_size=2, width=128, height=128)
check("txt2img", drew(made), ("sdxl", [(128, 128)] * 2))
check("seeds", made.info["all_seeds"], [1003, 1004])
check("a picture by its seed", made.info["infotexts"][0].splitlines()[-1].startswith("Steps: 5, "), True)
made = api.txt2img(
    prompt="a fox", steps=5, width=128, height=128, override_settings={"sd_model_checkpoint": "sd-1.5"}
)
check("for one order", drew(made), ("sd-1.5", [(128, 128)]))
made = api.img2img(images=[source], prompt="a castle", steps=5, width=128, height=128)
check("img2img", drew(made), ("sdxl", [(128, 128)]))
made = api.img2img(images=[source], mask_image=mask, prompt="a castle", steps=5, width=128, height=128)
check("inpaint", drew(made), ("sdxl", [(128, 128)]))
check("enlarged", api.extra_single_image(source, upscaling_resize=2).image.size, (256, 256))
out = io.BytesIO()
source.save(out, "PNG")
asked = api.session.post(f"{api.baseurl}/png-info", json={"image": base64.b64encode(out.getvalue()).decode()})
check("png-info", asked.json(), {"info": "", "items": {}, "parameters": {}})
check("progress", api.get_progress()["state"]["job_count"], 0)
check("interrupt", (api.interrupt(), api.skip()), ({}, {}))
try:
    api.txt2img(prompt="x", override_settings={"sd_model_checkpoint": "nobody"})
except RuntimeError as error:
    check("no such model", error.args[0], 404)
check("every error was one", done, 16)
print(f"ok: {done} checks")
