"""Tables that bound money and pictures: `[budgets.NAME]` and `[limits.NAME]`."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from limner.config.values import Dollars, Pictures, Text

_User = Annotated[str, Text(r"[^\x00-\x1f\x7f]{1,200}", "the name of a user")]
_Project = Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "the name of a project")]
_Account = Annotated[str, Text(r"[^\s\x00-\x1f\x7f]{1,64}", "the name of an account")]


class BudgetSettings(BaseModel):
    """One `[budgets.NAME]` table: whom it is about, and how much they may spend together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: _User | None = Field(None, description="Only orders of this user.")
    project: _Project | None = Field(None, description="Only orders for this project.")
    account: _Account | None = Field(None, description="Only orders at this account.")
    day_usd: Annotated[Decimal | None, Dollars()] = Field(None, description="Dollars a day, in UTC.")
    month_usd: Annotated[Decimal | None, Dollars()] = Field(None, description="Dollars a month, in UTC.")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.day_usd is None and self.month_usd is None:
            raise ValueError("bounds nothing; give it day_usd, month_usd or both")
        return self


class LimitSettings(BaseModel):
    """One `[limits.NAME]` table: whom it is about, and how many pictures they may order together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: _User | None = Field(None, description="Only orders of this user.")
    project: _Project | None = Field(None, description="Only orders for this project.")
    images_per_hour: Annotated[int | None, Pictures()] = Field(
        None, description="Pictures in any 3,600 seconds."
    )
    images_per_day: Annotated[int | None, Pictures()] = Field(
        None, description="Pictures in any 86,400 seconds."
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.images_per_hour is None and self.images_per_day is None:
            raise ValueError("bounds nothing; give it images_per_hour, images_per_day or both")
        return self
