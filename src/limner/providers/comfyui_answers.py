"""What ComfyUI answers, and what its failures mean. Pure."""

import re
from typing import Literal

from pydantic import BaseModel, JsonValue, RootModel

from limner.core.errors import Malformed, ProviderError, Rejected, Unavailable
from limner.providers.answers import SHOWN

_FOLDERS = re.compile(r"""[A-Za-z]:\\[^"'\n]*\\|(?<![\w:/])/(?:[^/\s"']+/)*(?=[^/\s"'])""")


class _Fault(BaseModel):
    message: str = ""
    details: str = ""


class _NodeFaults(BaseModel):
    class_type: str
    errors: tuple[_Fault, ...] = ()


class Declined(BaseModel):
    """What is wrong with a graph. A graph that is partly right is queued, with its faults told."""

    error: _Fault = _Fault()
    node_errors: dict[str, _NodeFaults] | list[JsonValue] = {}

    @property
    def reason(self) -> str:
        """The first fault of a node, else of the graph."""
        for node in self.node_errors.values() if isinstance(self.node_errors, dict) else ():
            for fault in node.errors:
                return plain(f"{node.class_type}: {fault.message}: {fault.details}")
        return plain(f"{self.error.message} {self.error.details}")


class Queued(Declined):
    """An order that was taken."""

    prompt_id: str


class Uploaded(BaseModel):
    """Under which name a file was kept, which may be another than we gave."""

    name: str
    subfolder: str = ""


class Queue(BaseModel):
    """Each entry is [number, prompt id, graph, ...]."""

    queue_running: tuple[tuple[JsonValue, ...], ...]
    queue_pending: tuple[tuple[JsonValue, ...], ...]

    def holds(self, order: str) -> bool:
        """Whether the order waits or runs."""
        return any(order in entry[1:2] for entry in (*self.queue_running, *self.queue_pending))


class Picture(BaseModel):
    """Where `view` finds a file."""

    filename: str
    subfolder: str = ""
    type: Literal["output", "input", "temp"] = "output"


class _Output(BaseModel):
    images: tuple[Picture, ...] = ()


class _Message(BaseModel):
    """What `execution_error` says and other messages leave out."""

    node_type: str = "a node"
    exception_type: str = ""
    exception_message: str = ""

    @property
    def memory(self) -> bool:
        """Drivers have exceptions of their own for a full GPU; some are told by their text alone."""
        return (
            self.exception_type.endswith("OutOfMemoryError")
            or "Allocation on device" in self.exception_message
        )


class _Status(BaseModel):
    status_str: Literal["success", "error"]
    messages: tuple[tuple[str, _Message], ...] = ()


class Entry(BaseModel):
    """An order that has ended."""

    outputs: dict[str, _Output] = {}
    status: _Status

    def pictures(self, nodes: tuple[str, ...]) -> tuple[Picture, ...]:
        """What the nodes saved. Raises `ProviderError` when the order failed or they saved nothing."""
        if self.status.status_str == "error":
            raise _failure(self.status)
        found = tuple(one for node in nodes for one in self.outputs.get(node, _Output()).images)
        if not found:
            raise Malformed(f"the order succeeded without a picture at node {', '.join(nodes)}")
        return found


class History(RootModel[dict[str, Entry]]):
    """Empty while an order waits or runs."""


def _failure(status: _Status) -> ProviderError:
    """The last message says what became of the order."""
    match status.messages[-1:]:
        case (("execution_interrupted", _),):
            return Rejected("the order was stopped at the ComfyUI server")
        case (("execution_error", said),) if said.memory:
            return Unavailable(plain(f"{said.node_type}: out of GPU memory: {said.exception_message}"))
        case (("execution_error", said),):
            return Rejected(
                plain(f"{said.node_type}: {said.exception_message.strip() or said.exception_type}")
            )
        case _:
            return Malformed("ComfyUI calls the order failed and does not say how")


def plain(text: str) -> str:
    """The first line, without the folders of the server."""
    return _FOLDERS.sub("", text.strip().partition("\n")[0])[:SHOWN].strip()
