"""Chainlit in an environment of its own, with Limner as it lies here: its packages keep others' back.

`python -m tools.chat_env` makes it below build/chainlit when it is missing or needs other packages by now.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "build" / "chainlit"
_LAST_LINES = 15
_WHOLE = ".whole"


def home(below: Path = ENVIRONMENTS) -> Path:
    """Its folder: another one for other packages and for another Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = [
        *project["dependencies"],
        *project["optional-dependencies"]["chainlit"],
        platform.python_version(),
    ]
    return below / hashlib.sha256("\n".join(needs).encode()).hexdigest()[:12]


def commands(below: Path = ENVIRONMENTS) -> Path | None:
    """The folder of its commands, None when it is not there, not whole, or this Python is too new for it."""
    found = home(below)
    return found / "bin" if (found / _WHOLE).exists() and (found / "bin" / "chainlit").exists() else None


def build(target: Path) -> str | None:
    """Make it; what went wrong, or None. Its commands name the folder they were made in, so that it is not
    moved when it is whole but marked."""
    shutil.rmtree(target, ignore_errors=True)
    venv.EnvBuilder(symlinks=True).create(target)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pip",
                "--python",
                str(target / "bin/python"),
                "install",
                "--quiet",
                "--no-input",
            ),
            *("--disable-pip-version-check", "--prefer-binary", "--editable", f"{ROOT}[chainlit]"),
        ],
        env=os.environ | {"PIP_USER": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        return "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
    (target / _WHOLE).touch()
    return None


def main(below: Path = ENVIRONMENTS) -> int:
    """Make it when it is missing, and remove older ones; 1 when it could not be made."""
    below.mkdir(parents=True, exist_ok=True)
    target = home(below)
    with (below / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits, and then finds nothing to do
        for path in below.iterdir():
            if path.is_dir() and path != target:
                shutil.rmtree(path)
        wrong = None if (target / _WHOLE).exists() else build(target)
    if wrong is not None:
        print(f"{wrong}\nlimner: Chainlit: not installed, see above", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
