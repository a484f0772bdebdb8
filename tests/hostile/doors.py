"""Every address that reads a JSON body, with a body it would take, and how it refuses another."""

from dataclasses import dataclass, field

from pydantic import JsonValue

from limner.api.encoded import PICTURE_BODY

DIGEST = "0" * 64
PROJECT = "00000000-0000-4000-8000-000000000000"
FOX = "a red fox"


@dataclass(frozen=True)
class Door:
    path: str
    body: dict[str, JsonValue]
    method: str = "POST"
    bad: int = 400
    """What is no JSON object."""
    wrong: int = 400
    """A field of a wrong type."""
    limit: int = 64 << 10
    """Bytes of a body."""
    more: dict[str, str] = field(default_factory=dict)
    """Headers."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


RPC = {"accept": "application/json, text/event-stream"}
DOORS = (
    Door("/v1/images/generations", {"prompt": FOX}),
    Door("/v1/images/edits", {"prompt": FOX, "images": [{"file_id": DIGEST}]}, limit=1 << 20),
    Door("/v1/moderations", {"input": FOX}, limit=1 << 20),
    Door("/v1/jobs", {"prompt": FOX}),
    Door("/v1/quotes", {"prompt": FOX}),
    Door("/v1/prompts/analyze", {"prompt": FOX}),
    Door("/v1/prompts/optimize", {"prompt": FOX}),
    Door("/v1/templates", {"name": "t", "template": "{subject}"}),
    Door("/v1/experiments", {"name": "e", "templates": ["a", "b"]}),
    Door("/v1/preferences", {"image": "image-1", "verdict": "kept"}),
    Door("/v1/providers/easel", {"enabled": True}, method="PATCH"),
    Door("/v1/jobs/job-1/decide", {"decision": "cancel"}),
    Door("/unified/generate", {"prompt": FOX, "project_id": PROJECT}, bad=422, wrong=422),
    Door("/unified/generate/quick", {"prompt": FOX, "project_id": PROJECT}, bad=422, wrong=422),
    Door("/unified/generate/batch", {"requests": []}, bad=422, wrong=422),
    Door("/unified/validate-prompt", {"prompt": FOX}, bad=422, wrong=422),
    Door("/unified/prompt-stats", {"prompt": FOX}, bad=422, wrong=422),
    Door("/projects/", {"name": "Foxes"}, bad=422, wrong=422),
    Door("/projects", {"name": "Foxes"}, bad=422, wrong=422),
    Door("/generate-image", {"prompt": FOX, "provider": "openai", "model": "dall-e-3"}),
    Door("/models/sketch", {"inputs": FOX}, limit=PICTURE_BODY),
    Door("/hf-inference/models/sketch", {"inputs": FOX}, limit=PICTURE_BODY),
    Door("/sdapi/v1/txt2img", {"prompt": FOX}),
    Door("/sdapi/v1/img2img", {"prompt": FOX, "init_images": [""]}, limit=PICTURE_BODY),
    Door("/sdapi/v1/extra-single-image", {"image": "x"}, limit=PICTURE_BODY),
    Door("/sdapi/v1/png-info", {"image": "x"}, limit=PICTURE_BODY),
    Door("/sdapi/v1/options", {}),
    Door("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, limit=12 << 20, more=RPC),
)
