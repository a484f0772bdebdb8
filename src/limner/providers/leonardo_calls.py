"""Leonardo's calls: whose they are, and which generation they name."""

from collections.abc import Mapping
from hmac import compare_digest
from typing import Annotated

from pydantic import AliasPath, BaseModel, Field

from limner.providers.answers import readable
from limner.providers.base import Ticket

_Id = Annotated[
    str, Field(validation_alias=AliasPath("data", "object", "id"), pattern=r"^[A-Za-z0-9-]{1,64}$")
]


class _Call(BaseModel):
    """Of what it tells: not the keys that it sends along."""

    id: _Id


def ticket_of(body: bytes) -> Ticket | None:
    """The generation that a call names."""
    call = readable(body, _Call)
    return None if call is None else {"id": call.id, "cost_usd": None}


def proven(headers: Mapping[str, str], secret: str | None) -> bool:
    """Whether a call has the secret that the dashboard was given."""
    given = headers.get("authorization", "").encode("utf-8", "replace")
    return bool(secret) and compare_digest(given, f"Bearer {secret}".encode())
