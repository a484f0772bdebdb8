"""Python from the .proto of the gRPC door: `python -m tools.proto --write`, or `--check` that it is current.

Generated code asks for a protobuf and a grpcio at least as new as its generator. The generator is therefore
the oldest that pyproject.toml accepts, in an environment of its own below build/proto.
"""

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.sdks import Sdk, build

ROOT = Path(__file__).resolve().parent.parent
GENERATOR = "grpcio-tools==1.76.0"  # protobuf 6.31.1: raise the bounds in pyproject.toml with it
SOURCE = Path("limner/rpc/starweave.proto")
HOME = ROOT / "build" / "proto" / f"{GENERATOR.partition('==')[2]}-{platform.python_version()}"
_PRODUCES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")
_WAY_OUT = "behind a proxy or mirror, set HTTPS_PROXY or PIP_INDEX_URL and run it again"


def generator() -> Path:
    """The interpreter that has the generator, installed now if need be. Raises `SystemExit`."""
    sdk = Sdk(ROOT / "src" / SOURCE, (GENERATOR,), HOME)
    if not sdk.python.exists():
        HOME.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(HOME.with_name(f"{HOME.name}.half"), ignore_errors=True)
        wrong = build(sdk)
        if wrong is not None:
            raise SystemExit(f"{wrong}\nlimner: {GENERATOR} is not installed, see above; {_WAY_OUT}")
    return sdk.python


def generate(into: Path) -> None:
    """Write what the .proto means below `into`."""
    said = [f"--{kind}={into}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    command: list[str | Path] = [
        generator(),
        "-m",
        "grpc_tools.protoc",
        f"-I{ROOT / 'src'}",
        *said,
        ROOT / "src" / SOURCE,
    ]
    subprocess.run(command, check=True)


def stale(generated: Path, kept: Path) -> list[Path]:
    """The kept files that are not what was generated."""
    names = [SOURCE.with_name(SOURCE.stem + end) for end in _PRODUCES]
    return [
        kept / name
        for name in names
        if not (kept / name).is_file() or (kept / name).read_bytes() != (generated / name).read_bytes()
    ]


def main() -> int:
    """0 when all is current."""
    if sys.argv[1:] == ["--write"]:
        generate(ROOT / "src")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        old = stale(Path(folder), ROOT / "src")
    for path in old:
        print(f"{path.relative_to(ROOT)} is not what {SOURCE.name} says; run python -m tools.proto --write")
    return 1 if old else 0


if __name__ == "__main__":
    raise SystemExit(main())
