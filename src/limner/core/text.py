"""What text may be that comes from outside."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

LOOPBACK_NAME = re.compile(r"(.+\.)?localhost|127(\.[0-9]{1,3}){3}|::1")
"""What a machine calls itself, in lower case and without brackets: a name that is asked for on its loopback
address and is none of these was pointed there by somebody else."""


def clean_text(text: str) -> str:
    """Refuse what no model can read and no database can hold: NUL bytes and lone surrogates."""
    if "\x00" in text:
        raise ValueError(f"holds a NUL byte at position {text.index(chr(0))}; remove it")
    for position, char in enumerate(text):
        if "\ud800" <= char <= "\udfff":
            raise ValueError(
                f"is not valid Unicode at position {position} (a lone surrogate); send UTF-8 text"
            )
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(clean_text)]
