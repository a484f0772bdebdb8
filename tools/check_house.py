"""What every file of the project must hold. Prints `file:line: fault` and exits 1 when there is one."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

LARGEST = 1024 * 1024
LARGE = {
    "src/limner/engine/starter/unet.onnx": "weights: Limner draws without a download",
    "src/limner/engine/starter/vae_decoder.onnx": "weights: Limner draws without a download",
    "src/limner/engine/starter/vae_encoder.onnx": "weights: Limner draws without a download",
    "src/limner/engine/starter/text_encoder.onnx": "weights: Limner draws without a download",
    "docs/images/starter-grid.png": "the starter model's subjects and styles on one sheet",
}
"""Files above the limit, each with its reason."""

FORBIDDEN = {
    r"(?<![\w.])/(work|root)/": "a path of one machine",
    r"(?<![\w.])/(home|Users)/(?!(me|you|user|limner)\b)[a-z]\w*": "a path of one machine",
    r"\bpy[p]i[.]org|python[h]osted[.]org|\bregistry[.]npm[j]s": "a package registry",
    r"\b(TODO|FIXME|XXX|HACK)\b": "unfinished work; do it, or say what is missing in the documentation",
    r"#\s*noqa(?!: [A-Z]+\d+(, ?[A-Z]+\d+)*( - |  ?\()\S)": "noqa needs its codes and a reason: X123 - why",
    r"#\s*type: ignore(?!\[[\w, -]+\]  # \S)": "type: ignore needs its code and a reason: [code]  # why",
    r"#\s*pragma: no cover(?! - \S)": "no cover needs a reason: pragma: no cover - why",
}
"""Pattern to what is wrong with it."""

_OWN = "tools/check_house.py"  # it has to name what it looks for
_LEFT_OUT = {".git", ".venv", "__pycache__", "node_modules", "build", "dist"}


def faults(name: str, data: bytes) -> Iterator[str]:
    """What is wrong with one file."""
    if len(data) > LARGEST and name not in LARGE:
        yield f"{name}:1: {len(data):,} bytes; at most {LARGEST:,}, or a line in {_OWN} that says why"
    if name == _OWN or b"\0" in data[:8192]:
        return
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        for pattern, fault in FORBIDDEN.items():
            if re.search(pattern, line):
                yield f"{name}:{number}: {fault}"


def files(root: Path) -> Iterable[str]:
    """The project's files, those not yet added included; without git, all that is no build output."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={root}", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        return sorted({name for name in listing.stdout.decode().split("\0") if name})
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and not _LEFT_OUT.intersection(path.relative_to(root).parts)
    )


def main() -> int:
    """Check the project this file is in."""
    root = Path(__file__).resolve().parent.parent
    found = [
        fault
        for name in files(root)
        if (root / name).is_file()
        for fault in faults(name, (root / name).read_bytes())
    ]
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
