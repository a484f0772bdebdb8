import csv
import functools
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from limner.app import Limner
from limner.cli import session
from limner.core.usage import UsageReport
from tests.cli import easel
from tests.cli.conftest import Run
from tests.cli.test_remote import served
from tests.fakes import model, request


@pytest.fixture
def priced(limner: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`limner ...` with an easel that takes 4 cents a picture."""
    catalog = [easel.MODEL.model_copy(update={"price": model("easel").price})]
    kinds = easel.INSTALLED["providers"]
    monkeypatch.setattr(session, "Limner", functools.partial(Limner, providers=kinds, models=catalog))
    return limner


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def test_usage_is_a_table_with_a_total(priced: Run):
    priced("generate", "a fox", "--n", "2")
    ran = priced("usage")
    rows_ = [line.split() for line in ran.out.splitlines()]
    assert rows_[0] == [
        "day",
        "orders",
        "pictures",
        "estimated",
        "actual",
        "under",
        "way",
        "unknown",
        "no",
        "price",
    ]
    assert [row[1:] for row in rows_[1:]] == [["1", "2", "$0.08", "$0.08", "$0.00", "$0.00", "0"]] * 2
    assert [row[0] for row in rows_[1:]] == [today(), "total"]


def test_usage_as_json_has_the_standings_too(priced: Run):
    priced("generate", "a fox")
    told = priced("usage", "--by", "model", "--json").json
    assert told.pop("standings") == {"budgets": [], "limits": []}
    assert [one.group for one in UsageReport(**told).data] == ["sketch"]


def test_usage_as_csv_is_csv(priced: Run):
    priced("generate", "a fox")
    read = list(csv.DictReader(StringIO(priced("usage", "--by", "provider", "--csv").out)))
    assert [(row["provider"], row["actual_usd"]) for row in read] == [("easel", "0.04")]


def test_usage_shows_what_is_left_of_budgets_and_limits(priced: Run, here: Path):
    (here / "limner.toml").write_text(
        "[budgets.team]\nday_usd = 1\n[budgets.easel]\naccount = 'easel'\nmonth_usd = 2.5\n"
        "[limits.zoo]\nproject = 'zoo'\nimages_per_hour = 3\n[limits.all]\nimages_per_day = 9\n"
    )
    priced("generate", "a fox", "--project", "zoo")
    lines = [" ".join(line.split()) for line in priced("usage").out.splitlines()[4:]]
    assert lines[0] == "bound of used left free again"
    assert lines[1].startswith("team: $1.00 a day everybody $0.04 $0.96 ")
    assert lines[2].startswith("easel: $2.50 a month easel $0.04 $2.46 ")
    assert lines[3:] == [
        "zoo: 3 pictures in any hour zoo 1 2",
        "all: 9 pictures in any day everybody 1 8",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--by", "colour"), "--by must be one of day, month, user, project, provider, account, model"),
        (("--from", "soon"), "from: 'soon' is no day; write it as in 2026-11-20"),
        (("--from", "2026-02-02", "--to", "2026-02-01"), "from: 2026-02-02 is after 2026-02-01"),
        (("--csv", "--json"), "--csv and --json are two forms of the same; give one"),
    ],
)
def test_what_cannot_be_meant_is_refused(priced: Run, arguments: tuple[str, ...], said: str):
    ran = priced("usage", *arguments)
    assert (ran.code, said in ran.out + ran.err) == (2, True)


def test_an_audit_ends_well_when_the_books_agree(priced: Run):
    priced("generate", "a fox")
    ran = priced("audit")
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()] == [
        ["account", "reserved", "released", "settled", "open"],
        ["easel", "$0.04", "$0.04", "$0.04", "$0.00"],
        ["1", "orders,", "and", "the", "ledger", "agrees", "with", "each"],
    ]


def test_an_audit_ends_with_1_and_names_what_does_not_agree(priced: Run, tmp_path: Path):
    job = priced("generate", "a fox", "--json").json
    spoil(tmp_path / "home", "UPDATE ledger SET micros = 1 WHERE kind = 'settle'")
    ran = priced("audit")
    assert (ran.code, ran.err.startswith(f"limner: order {job['id']}-1 (settled) should have")) == (1, True)
    told = priced("audit", "--json")
    assert (told.code, told.json["orders"], len(told.json["mismatches"])) == (1, 1, 1)


def spoil(home: Path, sql: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(home / "limner.db")) as connection, connection:
        connection.execute(sql)


async def test_a_server_that_owns_the_home_is_asked(tmp_path: Path):
    async with served(tmp_path) as (limner, remote):
        await limner.draw(request())
        day = datetime.now(UTC).date()
        assert await remote.usage(day, day, "model") == await limner.usage(day, day, "model")
        assert await remote.standings() == await limner.standings()
        assert await remote.audit() == await limner.audit()
