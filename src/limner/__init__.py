"""Limner: one request, any model, on your own machine or at a vendor.

```python
from limner import SyncLimner

with SyncLimner() as limner:
    job = limner.draw("a red fox in the snow, watercolor")
    limner.save(job.images[0], "fox.png")
```
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.app import Limner
    from limner.config import Settings
    from limner.core.job import Artifact, Job, Receipt
    from limner.core.quote import Note, Quote
    from limner.core.request import GenerateRequest, Policy
    from limner.manager import AIModelManager
    from limner.sync import SyncLimner

__version__ = "0.1.0"
__all__ = [
    "AIModelManager",
    "Artifact",
    "GenerateRequest",
    "Job",
    "Limner",
    "Note",
    "Policy",
    "Quote",
    "Receipt",
    "Settings",
    "SyncLimner",
    "__version__",
]

# A library says nothing unless the program that uses it wants to hear it.
logging.getLogger("limner").addHandler(logging.NullHandler())

_HOMES = {
    "AIModelManager": "limner.manager",
    "Artifact": "limner.core.job",
    "GenerateRequest": "limner.core.request",
    "Job": "limner.core.job",
    "Limner": "limner.app",
    "Note": "limner.core.quote",
    "Policy": "limner.core.request",
    "Quote": "limner.core.quote",
    "Receipt": "limner.core.job",
    "Settings": "limner.config",
    "SyncLimner": "limner.sync",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol's own type
    """Load a public name when it is first used, so that `limner --help` stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'limner' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
