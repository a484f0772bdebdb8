"""How long prompts may be, in characters."""

from limner.core.request import MAX_PROMPT

MAXIMUM = MAX_PROMPT
"""Longer ones are refused at every door."""
THRESHOLD = 3_000
"""Longer ones are shortened where that is asked for, to below this."""
TARGET = 2_800
"""What the language model is asked for, so that there is room for a style."""
TEMPERATURE = 0.3
TIMEOUT_S = 120.0
"""Of one question to the language model."""
RETRIES = 2
"""How often one that found no answer is asked again."""
