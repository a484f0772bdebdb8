"""Walk one route: the targets in order, each tried once, until one answers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from limner.core.errors import Exhausted, OverBudget, ProviderError, TimedOut
from limner.core.quote import Target
from limner.core.request import GenerateRequest
from limner.jobs.hang import Hung
from limner.jobs.reconcile import may_fall_back, may_repeat
from limner.providers.base import Done
from limner.store.line import Full
from limner.store.rows import OpenAttempt


@dataclass(frozen=True, slots=True)
class Bought:
    """An answer, and the attempt it belongs to."""

    attempt: OpenAttempt
    done: Done
    hung: Hung | None = None
    """Its pictures where they are stored already; `done` then holds none."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Every target that was asked, with what it said."""

    said: tuple[tuple[Target, ProviderError], ...]

    @property
    def repeatable(self) -> bool:
        """True when one of the targets may be asked again later; never once a vendor has refused."""
        if not all(error.fallback for _, error in self.said):
            return False
        return any(may_repeat(error, target) for target, error in self.said)

    @property
    def busy(self) -> bool:
        """True when nobody was asked, since no account had room."""
        return bool(self.said) and all(isinstance(error, Full) for _, error in self.said)

    @property
    def free(self) -> bool:
        """True when all that may be asked again costs nothing: then only the deadline limits the tries."""
        return all(target.free for target, error in self.said if may_repeat(error, target))

    @property
    def error(self) -> ProviderError:
        """The one error, or `Exhausted` with a line per target."""
        if len(self.said) == 1:
            return self.said[0][1]
        failures = {target.name: str(error) for target, error in self.said}
        return Exhausted("; ".join(f"{name}: {said}" for name, said in failures.items()), failures)

    @property
    def after_s(self) -> float:
        """The longest wait that anybody asked for, seconds."""
        return max((getattr(error, "after_s", 0.0) for _, error in self.said), default=0.0)


Place = Callable[[Target, str, bool], Awaitable[Bought]]
"""Place one order at a target; the text says why there. True when somebody else could be asked should it take
too long: then it leaves them some of the time."""

_TOO_LATE = TimedOut("too late")


async def walk(targets: Sequence[Target], request: GenerateRequest, place: Place) -> Bought | Failures:
    """The first answer, or what everybody said. Goes on only where the last error and the policy allow it,
    and past what no budget has room for; raises `OverBudget` when nobody could be asked at all."""
    said: list[tuple[Target, ProviderError]] = []
    over: OverBudget | None = None
    why = "first choice"
    rest = list(targets)
    while rest:
        target = rest.pop(0)
        try:
            return await place(target, why, _followed(target, rest, request))
        except ProviderError as error:
            said.append((target, error))
            why = f"fallback: {target.name}: {error.code}"
            rest = [
                following for following in rest if may_fall_back(error, following, request, free=target.free)
            ]
        except OverBudget as error:
            over = over or error
            why = f"fallback: {target.name}: {error.code}"
            rest = rest if request.policy.fallback else []
    if over is not None and not said:
        raise over
    return Failures(tuple(said))


def _followed(target: Target, rest: Sequence[Target], request: GenerateRequest) -> bool:
    """Could anybody else be asked if the target does not answer in time?"""
    return any(may_fall_back(_TOO_LATE, one, request, free=target.free) for one in rest)
