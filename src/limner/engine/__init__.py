"""The local engine: draws pictures in a process of its own and speaks a small HTTP protocol.

Start it with ``python -m limner.engine``; the protocol's bodies are in ``protocol``. Nothing else in Limner
imports this package, so that only this process carries the inference libraries.
"""

ENGINE_VERSION = "1"
"""Grows when the same seed, model and machine would give other bytes than before."""
