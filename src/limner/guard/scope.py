"""Whom a budget or a limit is about."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """What is None does not matter; with nothing set it is everybody together."""

    user: str | None = None
    project: str | None = None
    account: str | None = None

    def covers(self, user: str, project: str, account: str | None) -> bool:
        """Does an order of this user, for this project, at this account count here?"""
        wanted = ((self.user, user), (self.project, project), (self.account, account))
        return all(mine is None or mine == theirs for mine, theirs in wanted)

    def __str__(self) -> str:
        parts = (("user", self.user), ("project", self.project), ("account", self.account))
        return ", ".join(f"{word} {name}" for word, name in parts if name is not None) or "everybody"
