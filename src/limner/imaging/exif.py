"""The little of EXIF that carries a recipe: one TIFF header, IFD0 and the Exif IFD (TIFF 6.0, Exif 2.32)."""

import struct
from dataclasses import dataclass, field

MAX_TEXT = 1 << 20
_MAX_ENTRIES = 512
_MAKE, _MODEL, _ORIENTATION, _EXIF_IFD = 0x010F, 0x0110, 0x0112, 0x8769
_SOFTWARE, _MAKER_NOTE, _USER_COMMENT = 0x0131, 0x927C, 0x9286
_NAMES = {
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    _MAKE: "Make",
    _MODEL: "Model",
    _SOFTWARE: "Software",
    0x013B: "Artist",
    0x8298: "Copyright",
}
_WANTED = frozenset({_ORIENTATION, _EXIF_IFD, _MAKER_NOTE, _USER_COMMENT, *_NAMES})
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ASCII, _SHORT, _LONG, _UNDEFINED = 2, 3, 4, 7
_UNICODE = b"UNICODE\0"
_OURS = b"Limner\0"
_HEADER = b"Exif\0\0"


@dataclass(frozen=True, slots=True)
class Exif:
    """What a file's EXIF says. Texts that are cut off or out of bounds are left out."""

    comment: str | None = None
    """UserComment: where the AUTOMATIC1111 family keeps its parameters."""
    recipe: bytes | None = None
    """Our JSON, from MakerNote."""
    orientation: int = 1
    texts: dict[str, str] = field(default_factory=dict)


def pack(*, software: str, comment: str | None, recipe: bytes | None, orientation: int = 1) -> bytes:
    """A big-endian TIFF block: UserComment in UTF-16BE as piexif writes it, our JSON as MakerNote."""
    inner = []
    if recipe is not None:
        inner.append((_MAKER_NOTE, _UNDEFINED, _OURS + recipe))
    if comment is not None:
        inner.append((_USER_COMMENT, _UNDEFINED, _UNICODE + comment.encode("utf-16-be")))
    outer = [(_SOFTWARE, _ASCII, software.encode("ascii", "replace") + b"\0")]
    if orientation != 1:
        outer.insert(0, (_ORIENTATION, _SHORT, struct.pack(">H", orientation)))
    # The first directory's size does not depend on the pointer's value: lay it out once to learn it.
    inner_at = 8 + len(_directory([*outer, (_EXIF_IFD, _LONG, bytes(4))], 8))
    outer.append((_EXIF_IFD, _LONG, struct.pack(">I", inner_at)))
    return b"MM\0\x2a\0\0\0\x08" + _directory(outer, 8) + _directory(inner, inner_at)


def _directory(entries: list[tuple[int, int, bytes]], at: int) -> bytes:
    """An IFD that begins at `at`, followed by the values that do not fit in four bytes."""
    values_at = at + 2 + 12 * len(entries) + 4
    table, values = [struct.pack(">H", len(entries))], b""
    for tag, kind, value in entries:
        count = len(value) // _SIZES[kind]
        if len(value) <= 4:
            inline = value.ljust(4, b"\0")
        else:
            inline = struct.pack(">I", values_at + len(values))
            values += value + b"\0" * (len(value) % 2)  # values begin at even offsets
        table.append(struct.pack(">HHI4s", tag, kind, count, inline))
    return b"".join(table) + bytes(4) + values


def unpack(block: bytes) -> Exif:
    """Read a TIFF block, with or without `Exif\\0\\0` before it. Nonsense gives an empty `Exif`, no error."""
    block = block.removeprefix(_HEADER)
    order = {b"MM\0\x2a": ">", b"II\x2a\0": "<"}.get(block[:4])
    if order is None or len(block) < 8:
        return Exif()
    outer = _entries(block, _number(order, block[4:8]), order)
    inner = _entries(block, _number(order, outer.get(_EXIF_IFD, b"")), order)
    note = inner.get(_MAKER_NOTE, b"")
    comment = inner.get(_USER_COMMENT)
    turned = _number(order, outer.get(_ORIENTATION, b""))
    ours = outer.get(_SOFTWARE, b"").startswith(b"Limner ")
    return Exif(
        comment=None if comment is None else _comment(comment, ours),
        recipe=note.removeprefix(_OURS) if note.startswith(_OURS) else None,
        orientation=turned if 1 <= turned <= 8 else 1,
        texts={name: _ascii(outer[tag]) for tag, name in _NAMES.items() if tag in outer},
    )


def _entries(block: bytes, at: int, order: str) -> dict[int, bytes]:
    """Tag to value bytes of one IFD, for the tags that mean something here: hundreds of others may all point
    at one large value. Entries that point outside the block are left out."""
    if not 8 <= at <= len(block) - 2:
        return {}
    count = min(_number(order, block[at : at + 2]), _MAX_ENTRIES, (len(block) - at - 2) // 12)
    found: dict[int, bytes] = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", block, entry)
        size = length * _SIZES.get(kind, 0)
        start = entry + 8 if size <= 4 else _number(order, block[entry + 8 : entry + 12])
        if tag in _WANTED and 0 < size <= MAX_TEXT and start + size <= len(block):
            found[tag] = block[start : start + size]
    return found


def _number(order: str, value: bytes) -> int:
    return int.from_bytes(value, "big" if order == ">" else "little")


def _ascii(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")


def _comment(value: bytes, ours: bool) -> str:
    """The first eight bytes name the encoding."""
    code, text = value[:8], value[8:]
    if code != _UNICODE:
        return _ascii(text)
    # The standard leaves UTF-16's byte order open. piexif, so AUTOMATIC1111, and we write big-endian; in the
    # files of others both are met, and the zero bytes of Latin letters tell which.
    big = ours or text[0::2].count(0) >= text[1::2].count(0)
    return text.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\0")
