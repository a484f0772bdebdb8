from dataclasses import replace

import pytest

from limner.core.errors import Rejected
from limner.providers.huggingface_orders import order
from tests.providers.wiring import call


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        (
            "flux-1-schnell",
            "fal-ai/fal-ai/flux/schnell",
            {
                "prompt": "a red fox",
                "image_size": {"width": 512, "height": 768},
                "output_format": "png",
                "num_inference_steps": 4,
                "seed": 3,
            },
        ),
        (
            "flux-1-schnell-together",
            "together/v1/images/generations",
            {
                "model": "black-forest-labs/FLUX.1-schnell",
                "prompt": "a red fox",
                "response_format": "base64",
                "width": 512,
                "height": 768,
                "steps": 4,
                "seed": 3,
            },
        ),
        (
            "sdxl-nscale",
            "nscale/v1/images/generations",
            {
                "model": "stabilityai/stable-diffusion-xl-base-1.0",
                "prompt": "a red fox",
                "response_format": "b64_json",
                "size": "512x768",
                "negative_prompt": "blurry",
                "seed": 3,
            },
        ),
        (
            "qwen-image-2512",
            "replicate/v1/models/qwen/qwen-image-2512/predictions",
            {"input": {"prompt": "a red fox", "aspect_ratio": "2:3", "negative_prompt": "blurry", "seed": 3}},
        ),
        (
            "flux-1-dev-wavespeed",
            "wavespeed/api/v3/wavespeed-ai/flux-dev",
            {
                "prompt": "a red fox",
                "width": 512,
                "height": 768,
                "num_inference_steps": 28,
                "guidance_scale": 3.5,
                "seed": 3,
            },
        ),
        (
            "glm-image",
            "zai-org/api/paas/v4/async/images/generations",
            {"model": "glm-image", "prompt": "a red fox", "size": "512x768"},
        ),
        (
            "sdxl",
            "hf-inference/models/stabilityai/stable-diffusion-xl-base-1.0",
            {
                "inputs": "a red fox",
                "parameters": {
                    "width": 512,
                    "height": 768,
                    "num_inference_steps": 30,
                    "guidance_scale": 7.5,
                    "negative_prompt": "blurry",
                    "seed": 3,
                    "scheduler": "DDIM",
                },
            },
        ),
    ],
)
def test_each_partner_is_asked_in_its_own_words(name, path, body):
    options = {"scheduler": "DDIM"} if name == "sdxl" else {}
    wanted = call(
        "huggingface", model=name, negative_prompt="blurry", width=512, height=768, seed=3, options=options
    )
    said = order(wanted)
    assert (said.path, said.body) == (path, body)
    assert said.path.startswith(f"{said.partner}/")


@pytest.mark.parametrize(
    "name", ["../../v1/chat", "a/../b", "a/b?x=1", "a//b", "a b", "", "/a/b", "a/b/", "a/b\n", "a/%2e%2e/b"]
)
def test_a_name_that_would_lead_elsewhere_is_refused_before_anything_is_sent(name):
    wanted = replace(call("huggingface", model="huggingface-any"), model=name)
    with pytest.raises(Rejected, match="no model at Hugging Face; its name is owner/name"):
        order(wanted)
