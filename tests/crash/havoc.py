"""A real server and a real engine, killed at random moments under queued jobs."""

import hashlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx

import limner

Victim = Literal["server", "engine"]
_OPEN = "SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded', 'failed', 'canceled')"
_ALWAYS_OPEN = 6
"""Jobs that have not ended when a kill is due; more are queued where the machine is too quick for fewer."""


@dataclass
class Report:
    """What was done and what came of it."""

    seed: int
    jobs: int = 0
    kills: dict[Victim, int] = field(default_factory=lambda: {"server": 0, "engine": 0})
    kills_under_load: int = 0
    """Kills at a moment when some job had not ended."""
    interrupted: int = 0
    """Orders that were repeated or taken up again after a kill."""
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    """What the invariants found wrong; empty when all is well."""


class Havoc:
    """One home, one server at a time. Leave with `close`."""

    def __init__(self, home: Path, *, seed: int, side: int = 128, steps: int = 20) -> None:
        self.home = home
        self.report = Report(seed)
        self._random = random.Random(seed)
        self._fields = {"width": side, "height": side, "steps": steps}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._log = home.parent / "server.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._engines: set[int] = set()
        self._killed: set[int] = set()
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=10, trust_env=False)

    def start(self) -> None:
        """Start the server; returns at once."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
        environ["PYTHONPATH"] = str(Path(limner.__file__).parents[1])
        environ |= {"LIMNER_HOME": str(self.home), "LIMNER_LOG_FORMAT": "json", "LIMNER_CONCURRENCY": "8"}
        environ["LIMNER_GRPC_PORT"] = "0"
        command = "import sys; from limner.cli import main; sys.exit(main())"
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-c", command, "serve", "--port", str(self._port)],
                env=environ,
                cwd=self.home.parent,
                stdout=log,
                stderr=log,
            )

    def queue(self, count: int) -> None:
        """Order `count` more pictures, each under its own idempotency key, again until the server took it."""
        first, self.report.jobs = self.report.jobs, self.report.jobs + count
        for number in range(first, first + count):
            body = {"prompt": f"a red fox number {number}", "seed": number, **self._fields}
            while True:
                try:
                    answer = self._http.post(
                        "/v1/jobs", json=body, headers={"Idempotency-Key": f"job-{number}"}
                    )
                except httpx.TransportError:
                    self._alive()
                    time.sleep(0.05)
                    continue
                if answer.status_code == 202:
                    break
                self.report.faults.append(f"job {number}: {answer.status_code} {answer.text[:200]}")
                return

    def kill(self) -> None:
        """`kill -9` the server or its engine, at a random moment from its start or from now."""
        victim: Victim = self._random.choice(["server", "engine"])
        self.queue(max(0, _ALWAYS_OPEN - self._one(_OPEN)))
        engine = self._engine_soon() if victim == "engine" else None
        time.sleep(self._random.uniform(0.0, 3.0 if victim == "server" else 1.0))
        self.report.kills_under_load += self._one(_OPEN) > 0
        self.report.kills[victim] += 1
        if engine is not None:
            try:
                self._killed.add(engine)
                os.kill(engine, signal.SIGKILL)
            except ProcessLookupError:
                self.report.faults.append(f"the engine left by itself: {self._log.read_text()[-2000:]}")
        else:
            self._kill_server()
            self.start()

    def _engine_soon(self) -> int:
        """The engine's process id, once there is one."""
        for _ in range(600):
            engine = self._engine()
            if engine is not None:
                return engine
            self._alive()
            time.sleep(0.05)
        raise RuntimeError(f"no engine came: {self._log.read_text()[-2000:]}")

    def settle(self, patience_s: float) -> None:
        """Wait until every job has ended and its raw answer is tidied away by a fresh server; stop it."""
        self._until(_OPEN, patience_s)
        self._stop()
        self.start()
        self._until("SELECT count(*) FROM answers", patience_s)
        self._stop()

    def check(self) -> None:
        """The invariants, straight from the file and the folder."""
        jobs = self._rows("SELECT id, state, client_key, error FROM jobs")
        wrong = [row for row in jobs if row[1] != "succeeded"]
        self._expect(len(jobs), self.report.jobs, "jobs")
        self._expect(wrong, [], "jobs that did not end well")
        attempts = dict(self._rows("SELECT job_id, sum(state = 'settled') FROM attempts GROUP BY job_id"))
        self._expect({job: 1 for job, *_ in jobs}, attempts, "settled attempts per job")
        open_attempts = self._rows(
            "SELECT id, state FROM attempts WHERE state NOT IN ('settled', 'refused') ORDER BY id"
        )
        self._expect(open_attempts, [], "attempts left open or unknown")
        pictures = self._rows("SELECT job_id, digest, size_bytes, project, provider, file FROM artifacts")
        self._expect(
            sorted(row[0] for row in pictures), sorted(row[0] for row in jobs), "one picture per job"
        )
        for _job, digest, size, project, provider, file in pictures:
            shown = self.home / "storage" / "images" / project / provider / file
            data = shown.read_bytes() if shown.exists() else b""
            self._expect(
                (len(data), hashlib.sha256(data).hexdigest()), (size, digest), f"the file {shown.name}"
            )
        self._expect(self._rows("SELECT * FROM ledger"), [], "ledger rows of free pictures")
        answers = [str(path) for path in (self.home / "storage").glob("answers/**/*") if path.is_file()]
        self._expect(answers, [], "kept answers left over")
        self._expect(
            [pid for pid in self._engines if _is_engine(pid)], [], "engines that outlived their server"
        )
        said = self._log.read_text(errors="replace")
        self._expect([line for line in said.splitlines() if "broke" in line], [], "jobs that broke")
        self.report.interrupted = self._one(
            "SELECT count(*) FROM attempts WHERE state = 'refused' OR how != 'direct'"
        )

    def close(self) -> None:
        """Leave nothing running."""
        if self._server is not None and self._server.poll() is None:
            self._kill_server()
        self._http.close()

    def _alive(self) -> None:
        assert self._server is not None
        if self._server.poll() is not None:
            raise RuntimeError(f"the server left by itself: {self._log.read_text()[-2000:]}")

    def _kill_server(self) -> None:
        assert self._server is not None
        self._engine()
        self._server.kill()
        self._server.wait()

    def _stop(self) -> None:
        assert self._server is not None
        self._engine()
        self._answering()
        self._server.terminate()
        self._expect(self._server.wait(20), 0, "exit code of the server")
        patience = time.monotonic() + 10
        while any(_is_engine(pid) for pid in self._engines) and time.monotonic() < patience:
            time.sleep(0.05)

    def _answering(self) -> None:
        """Wait until the server is up: before it is, a signal ends it as it ends any program."""
        for _ in range(600):
            try:
                if self._http.get("/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                self._alive()
            time.sleep(0.05)
        raise RuntimeError(f"the server does not answer: {self._log.read_text()[-2000:]}")

    def _engine(self) -> int | None:
        """The engine's process id, None while there is none."""
        assert self._server is not None
        try:
            found = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        except OSError:
            return None
        engines = [int(pid) for pid in found if _is_engine(int(pid)) and int(pid) not in self._killed]
        self._engines.update(engines)
        return engines[0] if engines else None

    def _until(self, sql: str, patience_s: float) -> None:
        end = time.monotonic() + patience_s
        while self._one(sql):
            if time.monotonic() > end:
                self.report.faults.append(f"not so after {patience_s:g} s: {sql} = 0")
                return
            time.sleep(0.1)

    def _expect(self, found: object, wanted: object, what: str) -> None:
        if found != wanted:
            self.report.faults.append(f"{what}: {found!r:.500} instead of {wanted!r:.200}")

    def _one(self, sql: str) -> int:
        return int(self._rows(sql)[0][0])

    def _rows(self, sql: str) -> list[tuple]:
        with closing(sqlite3.connect(self.home / "limner.db", timeout=10)) as connection:
            return connection.execute(sql).fetchall()


def _is_engine(pid: int) -> bool:
    try:
        return b"limner.engine" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def wreak(home: Path, *, seed: int, jobs: int, kills: int, patience_s: float = 300.0) -> Report:
    """Queue, kill, wait, check."""
    began = time.monotonic()
    havoc = Havoc(home, seed=seed)
    try:
        havoc.start()
        havoc.queue(jobs)
        for _ in range(kills):
            havoc.kill()
        havoc.settle(patience_s)
        havoc.check()
    finally:
        havoc.close()
    havoc.report.seconds = round(time.monotonic() - began, 1)
    return havoc.report
