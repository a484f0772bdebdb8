"""Graphs at the simulated ComfyUI: is one valid, and what picture does it describe?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from limner.simulator.comfyui_nodes import NODES, Input, Models, config
from limner.simulator.vendor import Unreadable

Graph = dict[str, dict[str, JsonValue]]
Fault = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Checked:
    """`error` when the whole graph is refused; else what may run, and what is wrong with the rest."""

    error: Fault | None
    outputs: tuple[str, ...]
    node_errors: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a saving node is to save."""

    prompt: str
    size: tuple[int, int] | None
    """None: that of the source."""
    seed: int
    batch: int
    source: str | None
    """Name of the input file it starts from."""
    loader: str | None
    """The node that reads it."""


def check(graph: JsonValue, models: Models, exists: Callable[[str], bool], missing_word: str) -> Checked:
    """Whether it may run; `exists` says whether an input file is there. Raises `Unreadable`."""
    error = _shape(graph, missing_word)
    if error is not None:
        return Checked(error, (), {})
    nodes = cast("Graph", graph)
    outputs = [name for name, node in nodes.items() if NODES[str(node["class_type"])].saves]
    if not outputs:
        return Checked(_error("prompt_no_outputs", "Prompt has no outputs"), (), {})
    good: list[str] = []
    bad: dict[str, dict[str, object]] = {}
    for output in outputs:
        wrong = _wrong(nodes, output, models, exists)
        good += [] if wrong else [output]
        for name, faults in wrong.items():
            kind = _class(nodes, name)
            entry = bad.setdefault(name, {"errors": faults, "dependent_outputs": [], "class_type": kind})
            cast("list[str]", entry["dependent_outputs"]).append(output)
    failed = None if good else _error("prompt_outputs_failed_validation", "Prompt outputs failed validation")
    return Checked(failed, tuple(good), cast("dict[str, JsonValue]", bad))


def _shape(graph: JsonValue, missing_word: str) -> Fault | None:
    if not isinstance(graph, dict):
        raise Unreadable("the prompt is no table of nodes")
    for name, node in graph.items():
        if not isinstance(node, dict) or "class_type" not in node or not isinstance(node.get("inputs"), dict):
            said = "Cannot execute because a node is missing the class_type property."
            return _error("invalid_prompt", said, f"Node ID '#{name}'")
        if str(node["class_type"]) not in NODES:
            said = f"Cannot execute because node {node['class_type']} does not exist."
            return _error(missing_word, said, f"Node ID '#{name}'")
    return None


def _error(word: str, message: str, details: str = "") -> Fault:
    return {"type": word, "message": message, "details": details, "extra_info": {}}


def _wrong(
    graph: Graph, output: str, models: Models, exists: Callable[[str], bool]
) -> dict[str, list[Fault]]:
    """Faults by node, of the output and all it depends on."""
    found = {}
    for name in (output, *before(graph, output)):
        try:
            faults = list(_faults(graph, name, models, exists))
        except (KeyError, IndexError, ValueError) as error:
            faults = [_raised(error, inner=name != output)]
        if faults:
            found[name] = faults
    return found


def _raised(error: Exception, *, inner: bool) -> Fault:
    """A link to nowhere makes the server's own code stumble."""
    word, node = ("inner_validation", "inner node") if inner else ("validation", "node")
    extra: JsonValue = {
        "exception_type": type(error).__name__,
        "traceback": ['  File "/srv/comfy/execution.py", line 788, in validate_inputs\n'],
    }
    said = f"Exception when validating {node}"
    return {"type": f"exception_during_{word}", "message": said, "details": str(error), "extra_info": extra}


def _faults(graph: Graph, name: str, models: Models, exists: Callable[[str], bool]) -> Iterator[Fault]:
    given = inputs(graph, name)
    for key, one in NODES[_class(graph, name)].inputs.items():
        value = given.get(key)
        if key not in given:
            yield _at("required_input_missing", "Required input is missing", key, key)
        elif isinstance(value, list):
            yield from _link(graph, key, one, value)
        else:
            yield from _value(key, one, value, models, exists)


def _link(graph: Graph, key: str, one: Input, link: list[JsonValue]) -> Iterator[Fault]:
    if len(link) != 2:
        said = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
        yield _at("bad_linked_input", said, key, key, value=link)
        return
    given = NODES[_class(graph, str(link[0]))].gives[int(str(link[1]))]
    if given != one.type and one.type not in ("INT", "FLOAT", "STRING"):
        details = f"{key}, received_type({given}) mismatch input_type({one.type})"
        yield _at(
            "return_type_mismatch", "Return type mismatch between linked nodes", details, key, value=link
        )


def _value(
    key: str, one: Input, value: JsonValue, models: Models, exists: Callable[[str], bool]
) -> Iterator[Fault]:
    match one.type:
        case "INT" | "FLOAT":
            yield from _number(key, one, value)
        case "COMBO" if value not in one.allowed(models):
            allowed = one.allowed(models)
            shown = f"(list of length {len(allowed)})" if len(allowed) > 20 else str(allowed)
            yield _at(
                "value_not_in_list", "Value not in list", f"{key}: '{value}' not in {shown}", key, value=value
            )
        case "FILE" if not exists(str(value)):
            said = "Custom validation failed for node"
            yield _at("custom_validation_failed", said, f"{key} - Invalid image file: {value}", key)
        case "COMBO" | "FILE" | "STRING":
            return
        case _:
            yield _at(
                "invalid_input_type", f"Failed to convert an input value to a {one.type} value", key, key
            )


def _number(key: str, one: Input, value: JsonValue) -> Iterator[Fault]:
    try:
        number = (int if one.type == "INT" else float)(cast("float", value))
    except (TypeError, ValueError, OverflowError) as error:
        said = f"Failed to convert an input value to a {one.type} value"
        yield _at("invalid_input_type", said, f"{key}, {value}, {error}", key, value=value)
        return
    if one.least is not None and number < one.least:
        said = f"Value {number} smaller than min of {one.least:g}"
        yield _at("value_smaller_than_min", said, key, key, value=number, limits=config(one))
    elif one.most is not None and number > one.most:
        said = f"Value {number} bigger than max of {int(one.most)}"
        yield _at("value_bigger_than_max", said, key, key, value=number, limits=config(one))


def _at(
    word: str, message: str, details: str, key: str, *, value: JsonValue = None, limits: JsonValue = None
) -> Fault:
    extra: dict[str, JsonValue] = {"input_name": key}
    if limits is not None:
        extra["input_config"] = limits
    if value is not None:
        extra["received_value"] = value
    return {"type": word, "message": message, "details": details, "extra_info": extra}


def _class(graph: Graph, name: str) -> str:
    return str(graph[name]["class_type"])


def inputs(graph: Graph, name: str) -> dict[str, JsonValue]:
    """A node's values and links."""
    return cast("dict[str, JsonValue]", graph[name]["inputs"])


def before(graph: Graph, start: str) -> list[str]:
    """The nodes it depends on, nearest first; links to nowhere are left out."""
    found: list[str] = []
    wave = [start]
    while wave:
        links = [one for name in wave for one in inputs(graph, name).values() if isinstance(one, list)]
        wave = list(dict.fromkeys(str(link[0]) for link in links if len(link) == 2))
        wave = [name for name in wave if name in graph and name not in found and name != start]
        found += wave
    return found


def samplers(graph: Graph, output: str) -> list[str]:
    """The nodes that take steps, in front of an output."""
    return [name for name in before(graph, output) if "sampler" in NODES[_class(graph, name)].tags]


def steps(graph: Graph, sampler: str) -> int:
    """How many a sampler takes."""
    return _whole(_first(graph, sampler, "steps"), 1)


def wanted(graph: Graph, output: str) -> Wanted:
    """The picture in front of a saving node, by following the links."""
    nodes = before(graph, output)
    inner = samplers(graph, output)
    width, height = _first(graph, output, "width"), _first(graph, output, "height")
    batch = 1
    for name in nodes:
        for key in ("batch_size", "amount"):
            batch *= _whole(inputs(graph, name).get(key), 1)
    loader = next((name for name in nodes if _class(graph, name) == "LoadImage"), None)
    seeds = [_first(graph, inner[0], key) for key in ("seed", "noise_seed")] if inner else []
    return Wanted(
        prompt=_words(graph, inner[0]) if inner else "",
        size=(_whole(width), _whole(height)) if width and height else None,
        seed=next((_whole(seed) for seed in seeds if seed is not None), 0),
        batch=batch,
        source=None if loader is None else str(inputs(graph, loader)["image"]),
        loader=loader,
    )


def _whole(value: JsonValue, default: int = 0) -> int:
    """A number that was written as one or as text, as the server takes both."""
    return int(value) if isinstance(value, int | float | str) else default


def _first(graph: Graph, start: str, key: str) -> JsonValue:
    """The value nearest to a node under that name."""
    for name in (start, *before(graph, start)):
        value = inputs(graph, name).get(key)
        if value is not None and not isinstance(value, list):
            return value
    return None


def _words(graph: Graph, sampler: str) -> str:
    """The text behind the positive input, or behind the guider."""
    link = inputs(graph, sampler).get("positive") or inputs(graph, sampler).get("guider")
    start = str(link[0]) if isinstance(link, list) else sampler
    return str(_first(graph, start, "text") or "")
