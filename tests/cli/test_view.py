import io
import time
from datetime import date
from decimal import Decimal

import pytest
from rich.console import Console

from limner.cli import view
from limner.core.events import JobEvent, Progress
from limner.core.job import Attempt, Failure, Job, Receipt
from limner.core.quote import Note, Offer, Priced, PricePart, Quote
from limner.core.request import GenerateRequest


def printed(job: Job, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(view.receipt(job))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_receipt_shows_every_attempt_and_note_and_wraps_to_a_narrow_terminal():
    receipt = Receipt(
        attempts=(
            Attempt(
                n=1,
                state="refused",
                provider="a",
                account="a",
                model="m",
                why="first choice",
                how="direct",
                price_usd=None,
                submitted_at=0,
                error=Failure(code="rejected", message="no \x1b[31m such thing"),
            ),
            Attempt(
                n=2,
                state="settled",
                provider="b",
                account="b",
                model="m",
                why="fallback: a refused",
                how="direct",
                price_usd=None,
                submitted_at=0,
            ),
        ),
        notes=(Note(field="style", message="ignored: the model knows none"),),
        seconds=75.4,
    )
    job = Job(id="j", state="failed", request=GenerateRequest(prompt="x"), created_at=0, receipt=receipt)
    assert printed(job, 120) == [
        "  time       1 min 15 s",
        "  note       style: ignored: the model knows none",
        "  attempt 1  m at a, first choice, price unknown, refused: no  [31m such thing",
        "  attempt 2  m at b, fallback: a refused, price unknown, settled",
    ]
    assert printed(job, 40) == [
        "  time       1 min 15 s",
        "  note       style: ignored: the model",
        "             knows none",
        "  attempt 1  m at a, first choice, price",
        "             unknown, refused: no  [31m",
        "             such thing",
        "  attempt 2  m at b, fallback: a",
        "             refused, price unknown,",
        "             settled",
    ]


PRICED = Priced(
    parts=(
        PricePart(what="pictures", unit="image", usd=Decimal("0.04"), amount=Decimal(2)),
        PricePart(what="prompt tokens", unit="token", usd=Decimal("0.000005"), amount=Decimal(100)),
    ),
    source="https://easel.example/prices",
    read_on=date(2026, 1, 1),
)
EXPLAINED = (
    "2 pictures x $0.04 + 100 prompt tokens x $5.00 a million, as read on 2026-01-01 at "
    "https://easel.example/prices"
)


def test_a_quote_shows_how_its_price_comes_about_who_follows_and_until_when():
    follower = Offer(
        model="n", provider="mural", account="mural", tier="fast", price_usd=Decimal("0.03"), seconds=None
    )
    first = follower.model_copy(update={"model": "m", "provider": "easel"})
    quote = Quote(
        model="m",
        provider="easel",
        tier="fast",
        width=64,
        height=64,
        steps=None,
        count=2,
        price_usd=PRICED.total_usd,
        priced=PRICED,
        seconds=None,
        notes=(),
        route=(first, follower),
        alternatives=(),
        passed_over=(),
        token="q1.x.y",
        valid_until=1_795_132_800.0,
    )
    file = io.StringIO()
    Console(file=file, width=200, highlight=False).print(view.quote(quote))
    until = time.strftime("%H:%M:%S", time.localtime(1_795_132_800))
    assert [line.rstrip() for line in file.getvalue().splitlines()] == [
        "  model  m at easel (fast)",
        "  size   64 x 64, 2 pictures",
        "  cost   $0.0805",
        f"  price  {EXPLAINED}",
        "  then   n at mural (fast), $0.03",
        f"  valid  until {until}, when the same command has in place of --quote:",
    ]


def test_a_receipt_explains_its_price_and_tells_what_was_agreed():
    attempt = Attempt(
        n=1,
        state="settled",
        provider="easel",
        account="easel",
        model="m",
        why="first choice",
        how="direct",
        price_usd=PRICED.total_usd,
        submitted_at=0,
        priced=PRICED,
    )
    job = Job(
        id="j",
        state="failed",
        request=GenerateRequest(prompt="x"),
        created_at=0,
        receipt=Receipt(attempts=(attempt,), cost_usd=PRICED.total_usd),
        ceiling_usd=Decimal("0.09"),
    )
    assert printed(job, 200) == [
        "  cost    $0.0805",
        "  agreed  at most $0.09",
        f"  price   {EXPLAINED}",
    ]


def test_without_a_terminal_progress_is_a_line_a_quarter(capsys: pytest.CaptureFixture[str]):
    with view.watching() as watcher:
        for kind in ("queued", "accepted"):
            watcher.show(JobEvent(job_id="j", seq=1, type=kind, state="running", at=0))
        for step in range(1, 9):
            watcher.show(Progress("j", step / 8, step, 8, eta_s=8.0 - step))
        watcher.show(JobEvent(job_id="j", seq=2, type="retrying", state="running", at=0, message="a is busy"))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "limner: drawing\n"
        "limner: step 2 of 8, 6.0 s left\n"
        "limner: step 4 of 8, 4.0 s left\n"
        "limner: step 6 of 8, 2.0 s left\n"
        "limner: step 8 of 8, 0.0 s left\n"
        "limner: trying again: a is busy\n"
    )


@pytest.mark.parametrize("width", [50, 120])
def test_the_bar_with_steps_and_time_fits_one_line(width: int):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    bar = view.Bar(console)
    bar.show(Progress("j", 0.5, 10, 20, eta_s=75.0))
    file = io.StringIO()
    Console(file=file, width=width).print(bar.progress.get_renderable())
    (line,) = file.getvalue().splitlines()
    assert "drawing" in line
    assert line.rstrip().endswith("10/20 1 min 15 s left")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3725, "62 min 05 s")],
)
def test_durations_are_said_for_people(seconds: float, said: str):
    assert view.duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(999, "999 B"), (1500, "2 KB"), (999_499, "999 KB"), (1_400_000, "1.4 MB")]
)
def test_sizes_are_said_for_people(count: int, said: str):
    assert view.size(count) == said
