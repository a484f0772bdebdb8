"""The whole bar, outside of pytest: `python -m tests.crash.full [--seed N] [--jobs 40] [--kills 30]`."""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.crash.havoc import wreak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--kills", type=int, default=30)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="limner-crash-") as folder:
        report = wreak(Path(folder) / "home", seed=wanted.seed, jobs=wanted.jobs, kills=wanted.kills)
        if report.faults:
            sys.stderr.write((Path(folder) / "server.log").read_text()[-8000:])
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
