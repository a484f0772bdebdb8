"""Node projects of the tests, installed once below build/npm: each by its own package.json."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

BELOW = Path(__file__).resolve().parents[2] / "build" / "npm"
_PATIENCE_S = 300


def installed(project: Path) -> Path:
    """The folder that holds its node_modules. Without Node, or a registry that answers, the test is left out
    and says so; where CI is set that fails the run."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    wanted = (project / "package.json").read_bytes()
    home = BELOW / f"{project.name}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    BELOW.mkdir(parents=True, exist_ok=True)
    with (BELOW / f".{project.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits, and then finds nothing to do
        if not home.exists():
            _install(project, home)
    return home


def _install(project: Path, home: Path) -> None:
    """Seen under its name only when it is whole."""
    half = home.with_name(f"{home.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    shutil.copy(project / "package.json", half)
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run(
        ["npm", "install", *quiet],
        cwd=half,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm could not install {project.name}: {done.stderr.strip()[-500:]}")
    half.rename(home)
