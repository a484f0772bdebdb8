# requires: huggingface_hub==2.4.0 Pillow==13.0.0
"""Hugging Face's own client, unchanged, with its two hosts led to the simulator."""

import os
import sys

os.environ["HF_TOKEN"] = "hf_emu"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import httpx2
from huggingface_hub import InferenceClient, set_client_factory
from huggingface_hub.errors import HfHubHTTPError

SIMULATOR = httpx2.URL(sys.argv[1])
HOSTS = {"router.huggingface.co": "/huggingface/router", "huggingface.co": "/huggingface/hub"}
checks = []


class Led(httpx2.HTTPTransport):
    """Sends what is meant for Hugging Face to the simulator, and lets nothing else out of this machine."""

    def handle_request(self, request):
        prefix = HOSTS.get(request.url.host)
        if prefix is not None:
            request.url = request.url.copy_with(
                scheme=SIMULATOR.scheme, host=SIMULATOR.host, port=SIMULATOR.port,
                raw_path=prefix.encode() + request.url.raw_path,
            )  # fmt: skip
            request.headers["host"] = request.url.netloc.decode()
        assert request.url.host.startswith("127."), f"about to leave this machine: {request.url}"
        return super().handle_request(request)


def check(claim, what):
    assert claim, what
    checks.append(what)


def draw(provider, model, prompt="a red fox", key="hf_emu", **wishes):
    return InferenceClient(provider=provider, api_key=key, timeout=30).text_to_image(
        prompt, model=model, **wishes
    )


def refusal(status, words, *args, **wishes):
    """The call fails with this status, and the client shows the vendor's words."""
    try:
        draw(*args, **wishes)
    except HfHubHTTPError as error:
        check(
            error.response.status_code == status, f"{error.response.status_code} instead of {status}: {error}"
        )
        check(words in error.response.text, error.response.text)
        return error
    raise AssertionError(f"{args} was not refused")


set_client_factory(lambda: httpx2.Client(transport=Led(), timeout=30))

SCHNELL = "black-forest-labs/FLUX.1-schnell"
DEV = "black-forest-labs/FLUX.1-dev"
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"

size = {"width": 512, "height": 768}
for provider, model, wishes, expected in (
    ("fal-ai", SCHNELL, {**size, "num_inference_steps": 4, "seed": 3}, (512, 768)),
    ("together", SCHNELL, {**size, "num_inference_steps": 4, "seed": 3}, (512, 768)),
    ("nscale", SCHNELL, {**size, "num_inference_steps": 4, "seed": 3}, (512, 768)),
    ("replicate", "Qwen/Qwen-Image-2512", {"seed": 3}, (1664, 928)),
    ("wavespeed", DEV, {**size, "seed": 3}, (512, 768)),
    ("zai-org", "zai-org/GLM-Image", {}, (1280, 1280)),
    (
        "hf-inference",
        SDXL,
        {**size, "negative_prompt": "blurry", "guidance_scale": 7.0, "seed": 3},
        (512, 768),
    ),
):
    picture = draw(provider, model, **wishes)
    check(picture.size == expected, f"{provider}: {picture.size} instead of {expected}")
    check(len(set(picture.convert("L").resize((16, 16)).tobytes())) > 1, f"{provider}: a constant picture")

same = [draw("fal-ai", SCHNELL, seed=seed).tobytes() for seed in (7, 7, 8)]
check(same[0] == same[1], "the same seed draws the same picture")
check(same[0] != same[2], "another seed draws another")

refusal(401, "Invalid username or password.", "fal-ai", SCHNELL, key="hf_wrong")
refusal(402, "credits", "fal-ai", SCHNELL, key="hf_emu-nocredit")
refusal(403, "sufficient permissions", "together", SCHNELL, key="hf_emu-forbidden")
refusal(429, "Too Many Requests", "nscale", SCHNELL, key="hf_emu-limited")
refusal(400, "steps must be between 1 and 4", "together", SCHNELL, num_inference_steps=5)
refusal(422, "less_than_equal", "fal-ai", SCHNELL, num_inference_steps=50)
refusal(422, "NSFW", "together", SCHNELL, prompt="a fox [[emu:refused]]")
refusal(503, "overloaded", "hf-inference", SDXL, prompt="a fox [[emu:overloaded]]")
refusal(500, "Internal Server Error", "fal-ai", SCHNELL, prompt="a fox [[emu:error_before]]")

for provider, model, words in (
    ("wavespeed", DEV, "out of memory"),
    ("zai-org", "zai-org/GLM-Image", "failed"),
):
    try:
        draw(provider, model, prompt="a fox [[emu:job_fails]]")
    except ValueError as error:
        check(words in str(error), str(error))
    else:
        raise AssertionError(f"{provider}: a failed job was taken for a picture")

try:
    draw("replicate", "Qwen/Qwen-Image-2512", prompt="a fox [[emu:never_ends]]")
except TimeoutError as error:
    check("No output generated" in str(error), str(error))
else:
    raise AssertionError("replicate: an unfinished prediction was taken for a picture")

print(f"ok: {len(checks)} checks")  # noqa: T201 - what the runner reads
