import pytest

from limner.api.webui_answers import progress, settings
from limner.api.webui_places import Place, Places
from limner.core.events import Progress
from limner.core.job import Job
from limner.core.request import GenerateRequest

JOB = Job(
    id="job-1", state="running", request=GenerateRequest(prompt="x", steps=20), created_at=1_795_132_800.0
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", {}),
        ("a fox", {}),
        ("a fox\nfor all", {}),
        (
            "a fox\nin snow\nNegative prompt: blur\nSteps: 4, Size: 8x8",
            {"Prompt": "a fox\nin snow", "Negative prompt": "blur", "Steps": "4", "Size": "8x8"},
        ),
        (
            'a fox\nSteps: 4, Lora hashes: "a: 1, b: 2", CFG scale: 7',
            {
                "Prompt": "a fox",
                "Negative prompt": "",
                "Steps": "4",
                "Lora hashes": '"a: 1, b: 2"',
                "CFG scale": "7",
            },
        ),
        ("a fox\nSeed: 3, Size: 8x8", {"Prompt": "a fox", "Negative prompt": "", "Seed": "3", "Size": "8x8"}),
    ],
)
def test_settings_are_the_last_line_by_name(text, named):
    assert settings(text) == named


@pytest.mark.parametrize("text", ["Steps: " + "a" * 10**6, 'Steps: "' * 10**5, "\nSteps: " + "a:" * 10**6])
def test_a_hostile_line_is_cut(text):
    assert sum(len(name) + len(value) for name, value in settings(text).items()) < 10**6


def test_an_order_that_has_not_begun_is_counted():
    place = Place()
    with place.working(JOB):
        now = progress(place, picture=True)
    assert (now.progress, now.eta_relative, now.current_image) == (0.0, 0.0, None)
    assert now.state.model_dump() == {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "job-1",
        "job_count": 1,
        "job_timestamp": "20261120000000",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 20,
    }
    assert place.works == []


def test_the_oldest_order_is_told_with_its_newest_preview():
    place = Place()
    with place.working(JOB) as first, place.working(JOB):
        first.progress = Progress("job-1", 0.25, step=5, steps=20, preview=b"png", eta_s=1.5)
        now = progress(place, picture=True)
        bare = progress(place, picture=False)
    assert (now.progress, now.eta_relative, now.current_image) == (0.25, 1.5, "cG5n")
    assert (now.state.job_count, now.state.sampling_step, now.state.sampling_steps) == (2, 5, 20)
    assert bare.current_image is None


def test_callers_have_places_of_their_own():
    places = Places()
    places.of("ann").chosen = "house"
    assert (places.of("ann").chosen, places.of("bob").chosen) == ("house", None)
