"""What is written into a workflow, and what a workflow must have."""

from dataclasses import replace

import pytest

from limner.core.errors import Rejected
from limner.providers.comfyui_graph import copy_of, workflow, written
from tests.providers.wiring import call


def graph(order, image=None, mask=None):
    return written(order, workflow(order), image, mask)


def own(places, **more):
    """An order for an operator's own workflow of two nodes."""
    nodes = {
        "1": {"class_type": "Paint", "inputs": {"text": "", "seed": 1}, "_meta": {"title": "Paint"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    return replace(call("comfyui", seed=5), dialect={"graph": nodes, "inputs": places, "output": "2"} | more)


def test_each_field_lands_where_the_catalog_says():
    order = call(
        "comfyui", 'a "red" fox\n🦊', width=640, height=512, steps=9, guidance_scale=2.5, seed=2**63 - 1
    )
    sent = graph(order)
    assert sent["10"]["inputs"] == {"ckpt_name": "flux1-dev-fp8.safetensors"}
    assert sent["20"]["inputs"] == {"clip": ["10", 1], "text": 'a "red" fox\n🦊'}
    assert sent["21"]["inputs"] == {"conditioning": ["20", 0], "guidance": 2.5}
    assert sent["30"]["inputs"] == {"width": 640, "height": 512, "batch_size": 1}
    assert sent["40"]["inputs"] == {
        "model": ["10", 0],
        "positive": ["21", 0],
        "negative": ["22", 0],
        "latent_image": ["30", 0],
        "seed": 2**63 - 1,
        "steps": 9,
        "cfg": 1.0,
        "sampler_name": "euler",
        "scheduler": "simple",
        "denoise": 1.0,
    }
    assert sent["60"]["inputs"] == {"images": ["50", 0], "filename_prefix": f"limner/{order.uuid}_0"}


def test_the_words_not_wanted_and_a_style_are_written_too():
    sent = graph(call("comfyui", model="sdxl", negative_prompt="rain", style="oil"))
    assert (sent["20"]["inputs"]["text"], sent["21"]["inputs"]["text"]) == ("a red fox, oil", "rain")


def test_several_pictures_have_a_sampler_each_with_a_seed_of_its_own():
    order = call("comfyui", model="sdxl", seed=7, count=3)
    sent = graph(order)
    assert {name: node["inputs"]["seed"] for name, node in sent.items() if "seed" in node["inputs"]} == {
        "40": 7,
        "40-1": 8,
        "40-2": 9,
    }
    assert sent["50-2"]["inputs"] == {"samples": ["40-2", 0], "vae": ["10", 2]}
    assert sent["60-2"]["inputs"] == {"images": ["50-2", 0], "filename_prefix": f"limner/{order.uuid}_2"}
    assert sorted(sent) == sorted(
        ["10", "20", "21", "30", "40", "50", "60", "40-1", "50-1", "60-1", "40-2", "50-2", "60-2"]
    )
    assert [copy_of(name) for name in ("40", "40-1", "40-12", "57:8", "a-b")] == [0, 1, 12, 0, 0]


def test_a_picture_chooses_the_graph_that_starts_from_one():
    order = call("comfyui", operation="image-to-image", inputs=(b"x",), strength=0.4, width=512, height=768)
    sent = graph(order, image="limner/a.png")
    assert sent["31"]["inputs"] == {"image": "limner/a.png"}
    assert (sent["32"]["inputs"]["width"], sent["32"]["inputs"]["height"]) == (512, 768)
    assert (sent["40"]["inputs"]["latent_image"], sent["40"]["inputs"]["denoise"]) == (["33", 0], 0.4)


def test_a_mask_chooses_the_graph_that_fills_in():
    order = call("comfyui", operation="inpaint", inputs=(b"x",), mask=b"y", width=512, height=512)
    sent = graph(order, image="limner/a.png", mask="limner/m.png")
    assert sent["34"]["inputs"] == {"image": "limner/m.png", "channel": "alpha"}
    assert sent["33"]["inputs"]["mask"] == ["37", 0]
    assert sent["36"]["inputs"]["width"] == 512


def test_a_variation_needs_no_words():
    order = call("comfyui", "", operation="variation", inputs=(b"x",))
    assert graph(order, image="limner/a.png")["20"]["inputs"]["text"] == ""


def test_the_callers_own_values_go_last_but_not_over_the_files_name():
    order = call(
        "comfyui", options={"workflow_overrides": {"40": {"steps": 3}, "60": {"filename_prefix": "mine"}}}
    )
    sent = graph(order)
    assert sent["40"]["inputs"]["steps"] == 3
    assert sent["60"]["inputs"]["filename_prefix"] == f"limner/{order.uuid}_0"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"99": {"steps": 3}}, "no node '99'; it has 10, 20, 21, 22, 30, 40, 50, 60"),
        ({"40": {"stepz": 3}}, "node 40 has no input 'stepz'; it has model, positive"),
        ({"40": 3}, "must map node ids to tables of inputs"),
    ],
)
def test_an_override_of_nothing_is_refused(overrides, said):
    order = call("comfyui")
    wish = order.request.model_copy(update={"options": {"workflow_overrides": overrides}})
    with pytest.raises(Rejected, match=said):
        graph(replace(order, request=wish))


def test_a_workflow_of_ones_own_may_leave_fields_out_and_keeps_what_it_brought():
    sent = graph(own({"prompt": [["1", "text"]], "seed": [["1", "seed"]]}))
    assert sent["1"] == {
        "class_type": "Paint",
        "inputs": {"text": "a red fox", "seed": 5},
        "_meta": {"title": "Paint"},
    }


def test_a_workflow_may_draw_several_in_one_go():
    order = own({"prompt": [["1", "text"]], "count": [["1", "seed"]]})
    order = replace(order, request=order.request.model_copy(update={"count": 3}))
    assert sorted(graph(order)) == ["1", "2"]
    assert workflow(order).outputs(3) == ("2",)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"prompt": [["7", "text"]]}, "no place for prompt; name one under `inputs`"),
        ({"seed": [["1", "seed"]]}, "no place for prompt"),
        ({"prompt": [["1", "text"]], "seed": [["7", "seed"]]}, "no place for seed"),
    ],
)
def test_a_field_that_lands_nowhere_is_a_mistake_in_the_catalog(inputs, said):
    with pytest.raises(Rejected, match=said):
        graph(own(inputs))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"graph": "not JSON"}, "in the catalog: graph"),
        ({"graph": {"nodes": [], "links": []}}, "in the catalog: graph"),
        ({"inputs": {"colour": []}}, "in the catalog: inputs.colour"),
        ({"surprise": 1}, "in the catalog: surprise"),
    ],
)
def test_a_workflow_that_cannot_be_read_is_named(more, said):
    with pytest.raises(Rejected, match=said):
        workflow(own({}, **more))


def test_an_output_that_is_not_there_is_named():
    with pytest.raises(Rejected, match="no node '9'; it has 1, 2"):
        graph(own({"prompt": [["1", "text"]]}, output="9"))
