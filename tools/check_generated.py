"""Files that a program writes are as it would write them now."""

import subprocess
import sys

GENERATORS = ("limner.cli.reference", "tools.proto")
"""Modules that take --write and --check."""


def main() -> int:
    """Run every generator: `--check` (default) or `--write`. The exit status is 1 when one fails."""
    act = sys.argv[1] if len(sys.argv) > 1 else "--check"
    failed = [
        module
        for module in GENERATORS
        if subprocess.run([sys.executable, "-m", module, act], check=False).returncode
    ]
    if failed and act == "--check":
        print("limner: `make docs` writes them anew", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
