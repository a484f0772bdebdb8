"""Other people's programs that draw through Limner, unmodified: OpenAI's SDKs, Vercel's, and more.

`python -m tools.clients` makes what is missing below build/clients; with `--more` also the heavy ones.
OpenAI's Python SDK is that of tools/sdks.py.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tools import sdks

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "tests" / "clients"
ENVIRONMENTS = ROOT / "build" / "clients"

_INSTALL = (
    "npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error",
)  # fmt: skip
_LAST_LINES = 15


def python() -> list[sdks.Sdk]:
    """OpenAI's Python SDK, in the environment that proves the simulator."""
    return sdks.find(SCRIPTS / "python", sdks.ENVIRONMENTS)


def more(below: Path = ENVIRONMENTS) -> list[sdks.Sdk]:
    """Those that take long to install."""
    return sdks.find(SCRIPTS / "more", below)


def node() -> list[Path]:
    """The scripts for Node; what they share is no script."""
    return sorted(path for path in (SCRIPTS / "node").glob("*.mjs") if path.stem != "checks")


def node_home(below: Path = ENVIRONMENTS) -> Path:
    """The folder of the one npm project, another one for other packages."""
    wanted = (SCRIPTS / "node" / "package.json").read_bytes()
    return below / f"node-{hashlib.sha256(wanted).hexdigest()[:12]}"


def build_node(home: Path) -> str | None:
    """Install the packages, seen under their name only when all are there; what went wrong, or None."""
    if shutil.which("npm") is None:
        return "npm is not installed; Node 20 or later brings it"
    half = home.with_name(f"{home.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    shutil.copy(SCRIPTS / "node" / "package.json", half)
    done = subprocess.run(
        _INSTALL,
        cwd=half,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        return "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
    half.rename(home)
    return None


def main(arguments: list[str]) -> int:
    """Make all that are missing; 1 when one could not be made."""
    failed = 0
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits, and then finds nothing to do
        if not node_home().exists():
            failed += _told("the packages for Node", build_node(node_home()))
        for one in more() if "--more" in arguments else []:
            if not one.python.exists():
                failed += _told(one.script.stem, sdks.build(one))
    return min(failed, 1)


def _told(name: str, wrong: str | None) -> bool:
    """Say how it went; True when it went wrong."""
    print(
        f"{wrong}\nlimner: {name}: not installed, see above" if wrong else f"limner: {name}: installed",
        flush=True,
    )
    return wrong is not None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
