"""Pictures on their way to Leonardo: put where the vendor says, into a store that refuses our key."""

from pydantic import AliasPath, BaseModel, Field, Json

from limner.core.shapes import extension, media_type
from limner.providers.orders import file
from limner.wire import Part, Wire


class _Store(BaseModel):
    id: str = Field(validation_alias=AliasPath("uploadInitImage", "id"))
    url: str = Field(validation_alias=AliasPath("uploadInitImage", "url"))
    fields: Json[dict[str, str]] = Field(validation_alias=AliasPath("uploadInitImage", "fields"))


async def uploaded(wire: Wire, picture: bytes) -> str:
    """The id of a picture that is there now. Raises `ProviderError`."""
    kind = extension(media_type(picture))
    store = await wire.ask("v1/init-image", into=_Store, json={"extension": kind})
    fields = [Part(name, value) for name, value in store.fields.items()]
    await wire.upload(store.url, [*fields, file("file", picture)])
    return store.id
