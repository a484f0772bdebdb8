"""Budgets and limits as limner.toml and the environment say them."""

from decimal import Decimal
from pathlib import Path

import pytest

from limner.config import BudgetSettings, LimitSettings, Settings, load, shown
from limner.core.errors import SetupError


def read(folder: Path, toml: str = "", **environ: str) -> Settings:
    (folder / "limner.toml").write_text(toml)
    return load(cwd=folder, environ={"LIMNER_HOME": str(folder), **environ}).settings


def test_tables_are_read(tmp_path: Path):
    settings = read(
        tmp_path,
        """
[budgets.team]
project = "zoo"
day_usd = 12.5
month_usd = "200"
[budgets.everybody]
month_usd = 500
[limits.ann]
user = "ann@example.com"
images_per_hour = 100
""",
    )
    assert settings.budgets == {
        "team": BudgetSettings(project="zoo", day_usd=Decimal("12.5"), month_usd=Decimal(200)),
        "everybody": BudgetSettings(month_usd=Decimal(500)),
    }
    assert settings.limits == {"ann": LimitSettings(user="ann@example.com", images_per_hour=100)}


def test_identified_users_have_bounds_unless_they_are_off(tmp_path: Path):
    def bounds(**environ: str):
        found = read(tmp_path, **environ)
        return found.default_day_usd, found.default_images_per_hour, found.default_images_per_day

    assert bounds() == (Decimal(10), 10, 50)
    assert bounds(
        LIMNER_DEFAULT_DAY_USD="off",
        LIMNER_DEFAULT_IMAGES_PER_HOUR="off",
        LIMNER_DEFAULT_IMAGES_PER_DAY="off",
    ) == (None, None, None)
    assert bounds(LIMNER_DEFAULT_DAY_USD="0", LIMNER_DEFAULT_IMAGES_PER_HOUR=" 7 ") == (Decimal(0), 7, 50)


DOLLARS = "must be dollars from 0 to 1000000, at most six decimals"
PICTURES = "must be a whole number from 0 to 1000000"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[budgets.a]\nday_usd = -1", f"budgets.a.day_usd = -1: {DOLLARS}"),
        ("[budgets.a]\nday_usd = true", f"budgets.a.day_usd = True: {DOLLARS}"),
        ("[budgets.a]\nday_usd = inf", f"budgets.a.day_usd = inf: {DOLLARS}"),
        ("[budgets.a]\nday_usd = nan", f"budgets.a.day_usd = nan: {DOLLARS}"),
        ("[budgets.a]\nday_usd = '1.0000001'", f'budgets.a.day_usd = "1.0000001": {DOLLARS}'),
        ("[budgets.a]\nday_usd = '1e3'", f'budgets.a.day_usd = "1e3": {DOLLARS}'),
        ("[budgets.a]\nday_usd = 1000001", f"budgets.a.day_usd = 1000001: {DOLLARS}"),
        ("[budgets.a]\nday_usd = '\u0661'", f'budgets.a.day_usd = "\u0661": {DOLLARS}'),
        ("[budgets.a]\nday_usd = 'off'", f'budgets.a.day_usd = "off": {DOLLARS}'),
        ("[limits.a]\nimages_per_day = 1.5", f"limits.a.images_per_day = 1.5: {PICTURES}"),
        ("[limits.a]\nimages_per_day = 'off'", f'limits.a.images_per_day = "off": {PICTURES}'),
        (
            "[budgets.a]\nuser = 'ann'",
            "budgets.a = {'user': 'ann'}: bounds nothing; give it day_usd, month_usd or both",
        ),
        (
            "[limits.a]\nuser = 'ann'",
            "limits.a = {'user': 'ann'}: bounds nothing; give it images_per_hour, images_per_day or both",
        ),
        (
            "[budgets.a]\nweek_usd = 1",
            "budgets.a.week_usd = 1: is not known; a budget has user, project, account, day_usd, month_usd",
        ),
        (
            "[limits.a]\naccount = 'x'",
            (
                'limits.a.account = "x": is not known; '
                "a limit has user, project, images_per_hour, images_per_day"
            ),
        ),
        ("budgets = 3", "budgets = 3: must be tables, as in [budgets.team]"),
        ("limits.a = 3", "limits.a = 3: must be a table, as in [limits.team]"),
        ("default_day_usd = 'none'", f'default_day_usd = "none": {DOLLARS}, or off'),
        ("default_images_per_hour = -1", f"default_images_per_hour = -1: {PICTURES}, or off"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(tmp_path: Path, toml: str, said: str):
    with pytest.raises(SetupError) as caught:
        read(tmp_path, toml)
    assert str(caught.value) == f"limner.toml:1: {said}"


@pytest.mark.parametrize(
    "toml",
    [
        "[budgets.'a b']\nday_usd = 1",
        "[budgets.a]\nday_usd = 1\nuser = ''",
        "[budgets.a]\nday_usd = 1\nuser = 3",
        "[budgets.a]\nday_usd = 1\nproject = '../x'",
        "[budgets.a]\nday_usd = 1\naccount = 'a b'",
        '[limits.a]\nimages_per_day = 1\nuser = "a\\u0000"',
    ],
)
def test_names_that_nobody_can_have_are_refused(tmp_path: Path, toml: str):
    with pytest.raises(SetupError, match=r"limner\.toml:1: "):
        read(tmp_path, toml)


@pytest.mark.parametrize("name", ["LIMNER_BUDGETS", "LIMNER_LIMITS"])
def test_tables_are_no_variables(tmp_path: Path, name: str):
    with pytest.raises(SetupError, match=f"{name} is not a setting of Limner"):
        read(tmp_path, **{name: "{}"})


def test_they_are_shown_as_they_are_in_force(tmp_path: Path):
    settings = read(tmp_path, "[budgets.a]\nday_usd = 1.5\n")
    table = {"user": None, "project": None, "account": None, "day_usd": "1.5", "month_usd": None}
    assert (shown(settings)["budgets"], shown(settings)["default_day_usd"]) == ({"a": table}, "10")
