"""ComfyUI's graphs: an order written into the graph that the catalog holds for its model. Pure."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Json, JsonValue, TypeAdapter, ValidationError

from limner.core.errors import Rejected
from limner.providers.base import Call
from limner.providers.orders import given

Field = Literal[
    "model", "prompt", "negative_prompt", "width", "height", "steps", "guidance_scale", "seed", "count",
    "image", "mask", "strength", "prefix",
]  # fmt: skip
_NEEDED: frozenset[Field] = frozenset({"prompt", "image", "mask"})
"""What the picture cannot do without: a graph that has no place for it is not used."""


class Node(BaseModel):
    """One node in API format; its inputs are values or links, which are [node id, output]."""

    model_config = ConfigDict(extra="allow")

    class_type: str
    inputs: dict[str, JsonValue]


Graph = dict[str, Node]
_Overrides = TypeAdapter(dict[str, dict[str, JsonValue]])


class Workflow(BaseModel):
    """A model's dialect: its graphs (from words, from a picture, from a picture and a mask), and for each
    field of ours the (node id, input name) pairs it sets. A pair counts in the graphs that have its node."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    graph: Graph | Json[Graph]
    image_graph: Graph | Json[Graph] | None = None
    mask_graph: Graph | Json[Graph] | None = None
    inputs: dict[Field, tuple[tuple[str, str], ...]]
    output: str

    def outputs(self, count: int) -> tuple[str, ...]:
        """The nodes that save the pictures, in order: one when the graph counts, else one a picture."""
        return tuple(_copied(self.output, i) for i in range(1 if "count" in self.inputs else count))


def workflow(call: Call) -> Workflow:
    """The model's workflow. Raises `Rejected` when the catalog holds none that can be read."""
    try:
        return Workflow.model_validate(call.dialect)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][:3])
        raise Rejected(f"the workflow of {call.model} in the catalog: {where}: {first['msg']}") from error


def written(call: Call, flow: Workflow, image: str | None, mask: str | None) -> dict[str, JsonValue]:
    """The graph to send; `image` and `mask` are the names of uploaded files. Raises `Rejected`."""
    graph = _graph(flow, image, mask)
    for field, value in _values(call, image, mask).items():
        _put(graph, field, flow.inputs.get(field, ()), value, declared=field in flow.inputs)
    _override(graph, call.request.options.get("workflow_overrides"))
    graph = _copies(graph, flow, call)
    for number, output in enumerate(flow.outputs(call.request.count)):
        _node(graph, output).inputs["filename_prefix"] = f"limner/{call.uuid}_{number}"
    return {name: node.model_dump() for name, node in graph.items()}


def _graph(flow: Workflow, image: str | None, mask: str | None) -> Graph:
    graph = flow.graph if image is None else flow.image_graph or flow.graph
    graph = graph if mask is None else flow.mask_graph or graph
    return {name: node.model_copy(deep=True) for name, node in graph.items()}


def _values(call: Call, image: str | None, mask: str | None) -> dict[Field, JsonValue]:
    """What is to be written, without what the order leaves to the graph."""
    wish = call.request
    values: dict[Field, JsonValue] = {
        "model": call.model,
        "prompt": ", ".join(filter(None, (wish.prompt, wish.style))),
        "negative_prompt": wish.negative_prompt,
        "width": wish.width,
        "height": wish.height,
        "steps": wish.steps,
        "guidance_scale": wish.guidance_scale,
        "seed": wish.seed,
        "count": wish.count,
        "image": image,
        "mask": mask,
        "strength": wish.strength,
    }
    return given(values)


def _put(
    graph: Graph, field: Field, places: Iterable[tuple[str, str]], value: JsonValue, *, declared: bool
) -> None:
    found = [(graph[node], name) for node, name in places if node in graph]
    if not found and value != "" and (declared or field in _NEEDED):
        raise Rejected(f"the workflow has no place for {field}; name one under `inputs` in the catalog")
    for node, name in found:
        node.inputs[name] = value


def _override(graph: Graph, overrides: JsonValue) -> None:
    """The caller's own values. Raises `Rejected` for a node or input that the graph does not have."""
    if overrides is None:
        return
    try:
        wanted = _Overrides.validate_python(overrides)
    except ValidationError as error:
        raise Rejected("workflow_overrides must map node ids to tables of inputs") from error
    for name, inputs in wanted.items():
        node = _node(graph, name)
        unknown = [one for one in inputs if one not in node.inputs]
        if unknown:
            known = ", ".join(node.inputs)
            raise Rejected(
                f"workflow_overrides: node {name} has no input {unknown[0][:60]!r}; it has {known}"
            )
        node.inputs.update(inputs)


def _node(graph: Graph, name: str) -> Node:
    if name not in graph:
        raise Rejected(f"the workflow has no node {name[:60]!r}; it has {', '.join(graph)}"[:300])
    return graph[name]


def _copies(graph: Graph, flow: Workflow, call: Call) -> Graph:
    """Everything behind the seed once more for each further picture, with the seed that is its own.

    One sampler with a batch would draw all from one seed, and no later order could draw the third again.
    """
    seeds = [place for place in flow.inputs.get("seed", ()) if place[0] in graph]
    behind = _behind(graph, {node for node, _ in seeds} or {flow.output})
    copies: Graph = {}
    for number in range(1, len(flow.outputs(call.request.count))):
        for name in behind:
            node = graph[name].model_copy(deep=True)
            node.inputs = {key: _moved(value, behind, number) for key, value in node.inputs.items()}
            copies[_copied(name, number)] = node
        for name, key in seeds:
            first = graph[name].inputs[key]
            copies[_copied(name, number)].inputs[key] = first + number if isinstance(first, int) else first
    return graph | copies


def _behind(graph: Graph, start: Iterable[str]) -> set[str]:
    """The nodes and all that depend on them."""
    found = set(start)
    while more := {name for name in graph if name not in found and _sources(graph[name]) & found}:
        found |= more
    return found


def _sources(node: Node) -> set[str]:
    return {str(value[0]) for value in node.inputs.values() if isinstance(value, list) and value}


def _moved(value: JsonValue, behind: set[str], number: int) -> JsonValue:
    """A link into what is copied leads to the copy."""
    if isinstance(value, list) and value and str(value[0]) in behind:
        return [_copied(str(value[0]), number), *value[1:]]
    return value


def _copied(node: str, number: int) -> str:
    return f"{node}-{number}" if number else node


def copy_of(node: str) -> int:
    """Which picture a node belongs to, from 0."""
    number = node.rpartition("-")[2]
    return int(number) if "-" in node and number.isascii() and number.isdigit() else 0
