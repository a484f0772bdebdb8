"""What a picture is made of, for providers: its media type, its size as a ratio."""

from collections.abc import Iterable
from math import log

_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_EXTENSION = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


def media_type(data: bytes) -> str:
    """The media type by the first bytes; `application/octet-stream` when they are no picture's."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _MAGIC if data.startswith(magic)), "application/octet-stream")


def extension(mime: str) -> str:
    """A file name's ending for a media type."""
    return _EXTENSION.get(mime, "bin")


def nearest_ratio(width: int, height: int, names: Iterable[str]) -> str:
    """Of names such as `16:9`, the one whose shape is closest to width by height."""

    def distance(name: str) -> float:
        across, down = (int(part) for part in name.split(":"))
        return abs(log(across / down) - log(width / height))

    return min(names, key=distance)
