"""The manager class that programs before Limner use in-process."""

from limner.manager.manager import AIModelManager

__all__ = ["AIModelManager"]
