"""Files that are either whole or absent, and the weights that follow the trained ones at a distance."""

import time
from pathlib import Path
from typing import Any

import torch


def save(state: dict[str, Any], path: Path) -> None:
    """Writes beside the file, then renames: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.rename(path)


def load(path: Path) -> dict[str, Any] | None:
    return torch.load(path, map_location="cpu", weights_only=False) if path.exists() else None


class Average:
    """The running mean of a module's weights (short at first, `decay` later): what is exported."""

    def __init__(self, module: torch.nn.Module, decay: float = 0.999) -> None:
        self.decay, self.steps = decay, 0
        self.weights = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def follow(self, module: torch.nn.Module) -> None:
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        mine, theirs = [], []
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                mine.append(self.weights[name])
                theirs.append(value)
            else:
                self.weights[name].copy_(value)
        torch._foreach_lerp_(mine, theirs, share)


class Clock:
    """Minutes of work, over all the runs that went into one checkpoint."""

    def __init__(self, before_s: float = 0.0) -> None:
        self._start = time.monotonic() - before_s

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start
