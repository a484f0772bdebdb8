"""What is understood of the socket's frames, one by one."""

import json

import pytest
from pydantic import ValidationError

from limner.providers.base import Pending
from limner.providers.comfyui_socket import Held, hear

HELD = Held(id="p1", outputs=("60", "60-1"), previews=True)
KNOWN = Pending({"id": "p1"}, 0.0, 0.1, 4, 40)


def frame(kind, **data):
    return json.dumps({"type": kind, "data": data})


def preview(owner, kind=4, picture=b"jpeg"):
    head = json.dumps(owner).encode()
    return kind.to_bytes(4) + len(head).to_bytes(4) + head + picture


@pytest.mark.parametrize(
    ("message", "known", "last"),
    [
        (frame("progress", value=5, max=20, prompt_id="p1", node="40"), (0.125, 5, 40), False),
        (frame("progress", value=5.0, max=20.0, prompt_id="p1", node="40-1"), (0.625, 25, 40), False),
        (frame("progress", value=9, max=0, prompt_id="p1", node="40-1"), (1.0, 10, 2), False),
        (frame("progress", value=5, max=20, prompt_id="p2", node="40"), (0.1, 4, 40), False),
        (frame("progress", value=5, max=20, node="40"), (0.1, 4, 40), False),
        (frame("executing", node="50", prompt_id="p1"), (0.1, 4, 40), False),
        (frame("executing", node="50"), (0.1, 4, 40), False),
        (frame("executing", node=None, prompt_id="p2"), (0.1, 4, 40), False),
        (frame("executing", node=None, prompt_id="p1"), (0.1, 4, 40), True),
        (json.dumps({"type": "crystools.monitor", "data": [1, 2]}), (0.1, 4, 40), False),
        (json.dumps({"type": "status"}), (0.1, 4, 40), False),
    ],
)
def test_only_our_own_progress_and_end_count(message, known, last):
    heard, ended = hear(KNOWN, message, HELD)
    assert ((heard.fraction, heard.step, heard.steps), ended) == (known, last)


@pytest.mark.parametrize(
    ("message", "seen"),
    [
        (preview({"prompt_id": "p1", "image_type": "image/jpeg"}), b"jpeg"),
        (preview({"prompt_id": "p2", "image_type": "image/jpeg"}), None),
        ((1).to_bytes(4) + (1).to_bytes(4) + b"somebody else's", None),
        ((3).to_bytes(4) + (2).to_bytes(4) + b"40text", None),
        (b"", None),
    ],
)
def test_only_a_preview_that_names_our_order_is_shown(message, seen):
    assert hear(KNOWN, message, HELD)[0].preview == seen


def test_previews_that_nobody_asked_for_are_not_looked_at():
    held = HELD.model_copy(update={"previews": False})
    assert hear(KNOWN, preview({"prompt_id": "p1"}), held) == (KNOWN, False)


def test_a_later_frame_keeps_the_preview_before_it():
    seen, _ = hear(KNOWN, preview({"prompt_id": "p1"}), HELD)
    later, _ = hear(seen, preview({"prompt_id": "p2"}), HELD)
    assert later.preview == b"jpeg"


@pytest.mark.parametrize("message", ["not json", frame("progress", value="far", prompt_id="p1"), preview({})])
def test_a_frame_that_cannot_be_read_is_said_to_be_so(message):
    with pytest.raises(ValidationError):
        hear(KNOWN, message, HELD)
