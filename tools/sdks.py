"""The vendors' own clients, each in an environment of its own: what one needs, another cannot have.

`python tools/sdks.py` makes what is missing below build/sdks and removes what nobody needs any more.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "tests" / "simulator" / "sdk"
ENVIRONMENTS = ROOT / "build" / "sdks"

_REQUIRES = "# requires:"
_PIN = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w-]+\])?==[\w.+!-]+")
_WORKERS = 4  # half of the time is waiting for the package index
_LAST_LINES = 15
_WAY_OUT = "behind a proxy or mirror, set HTTPS_PROXY or PIP_INDEX_URL and run make sdks again"


@dataclass(frozen=True, slots=True)
class Sdk:
    """A script that proves a vendor's client, its exact packages, and its environment's folder."""

    script: Path
    pins: tuple[str, ...]
    home: Path

    @property
    def python(self) -> Path:
        """Its interpreter, which exists when the environment is whole."""
        return self.home / "bin" / "python"


def pins(script: Path, text: str) -> tuple[str, ...]:
    """The packages a script's first line asks for. Raises `ValueError` that names script and fault."""
    line = text.partition("\n")[0]
    if not line.startswith(_REQUIRES):
        raise ValueError(
            f"{script.name}: its first line must be like '{_REQUIRES} openai==3.51.0', not {line!r}"
        )
    found = tuple(word for word in re.split(r"[,\s]+", line.removeprefix(_REQUIRES)) if word)
    loose = [word for word in found if not _PIN.fullmatch(word)]
    if loose or not found:
        fault = " ".join(loose) or "there is none"
        raise ValueError(f"{script.name}: every package needs its exact version, name==1.2.3: {fault}")
    return found


def home(script: Path, pins: Iterable[str], python: str) -> str:
    """The name of a script's environment: another one for other packages and for another Python."""
    wanted = " ".join((*sorted(pins), python))
    return f"{script.stem}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def find(scripts: Path = SCRIPTS, below: Path = ENVIRONMENTS) -> list[Sdk]:
    """Every script there is, by name. Raises `ValueError` for one whose first line cannot be read."""
    return [_read(script, below) for script in sorted(scripts.glob("*.py"))]


def _read(script: Path, below: Path) -> Sdk:
    needs = pins(script, script.read_text(encoding="utf-8"))
    return Sdk(script, needs, below / home(script, needs, platform.python_version()))


def stale(folder: Path, wanted: Iterable[Sdk]) -> list[Path]:
    """The folders that no script needs: older packages, and what was broken off half-way."""
    keep = {sdk.home for sdk in wanted}
    return sorted(path for path in folder.iterdir() if path.is_dir() and path not in keep)


def build(sdk: Sdk) -> str | None:
    """Make one environment, seen under its name only when it is whole; what went wrong, or None.

    Its commands name the folder it was made in: it is good for its interpreter only.
    """
    half = sdk.home.with_name(f"{sdk.home.name}.half")
    venv.EnvBuilder(symlinks=True).create(half)
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-compile", "--prefer-binary"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(half / "bin/python"), "install", *options, *sdk.pins],
        env=os.environ | {"PIP_USER": "0"},  # set for some whole machines; in an environment it is an error
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        return "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
    half.rename(sdk.home)
    return None


def main(scripts: Path = SCRIPTS, below: Path = ENVIRONMENTS) -> int:
    """Make all that are missing; 1 when one could not be made."""
    below.mkdir(parents=True, exist_ok=True)
    with (below / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits, and then finds nothing to do
        sdks = find(scripts, below)
        whole = [sdk for sdk in sdks if sdk.python.exists()]
        for path in stale(below, whole):
            shutil.rmtree(path)
        return _build([sdk for sdk in sdks if sdk not in whole])


def _build(missing: list[Sdk]) -> int:
    failed = 0
    with ThreadPoolExecutor(_WORKERS) as workers:
        for sdk, wrong in zip(missing, workers.map(build, missing), strict=True):
            if wrong is None:
                print(f"limner: {sdk.script.stem}: installed {' '.join(sdk.pins)}", flush=True)
            else:
                failed += 1
                print(f"{wrong}\nlimner: {sdk.script.stem}: not installed, see above", file=sys.stderr)
    if failed:
        print(f"limner: {_WAY_OUT}", file=sys.stderr)
    return min(failed, 1)


if __name__ == "__main__":
    raise SystemExit(main())
