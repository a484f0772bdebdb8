"""Prompts in the journal: templates, tests of them, verdicts on pictures, and how rewriting went."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from limner.core.errors import Conflict, InvalidRequest, NotFound
from limner.core.shelf import (
    Experiment,
    NewExperiment,
    NewTemplate,
    RewriteCount,
    Template,
    Verdict,
)
from limner.store.connections import Connections, Taken
from limner.store.schema import (
    prompt_experiments,
    prompt_rewrites,
    prompt_templates,
    prompt_trials,
    prompt_verdicts,
)

T = TypeVar("T")
MAX_VERSIONS = 1_000
MAX_TEMPLATES = 1_000
MAX_EXPERIMENTS = 1_000
_AGAIN = 20
"""How often a write is made anew that met another process's row: each time somebody gets ahead."""
_KINDS = {
    "style": prompt_verdicts.c.style,
    "size": prompt_verdicts.c.size,
    "provider": prompt_verdicts.c.provider,
}


class PromptStore:
    """The prompt tables behind their verbs; each method is one transaction."""

    def __init__(self, database: Connections) -> None:
        self._database = database

    # -- templates ---------------------------------------------------------------------------------------

    async def add_template(self, new: NewTemplate, by: str) -> Template:
        """The next version of the name. The text that is the newest already is not kept twice. Raises
        `InvalidRequest` when there are too many."""

        def act(connection: Connection) -> Template | str:
            newest = connection.execute(_newest(new.name)).first()
            if newest is not None and _same(newest, new):
                return _template(newest)
            version = 1 if newest is None else newest.version + 1
            if version > MAX_VERSIONS or (newest is None and _names(connection) >= MAX_TEMPLATES):
                return "there are too many templates; take one that is there"
            values = new.model_dump() | {"version": version, "tenant": by, "created_at": time.time()}
            connection.execute(insert(prompt_templates).values(**values))
            return _template(connection.execute(_newest(new.name)).one())

        return _or_invalid(await self._write(act), "name")

    async def template(self, name: str, version: int | None = None) -> Template:
        """One version, without `version` the newest. Raises `NotFound`."""

        def act(connection: Connection) -> Template | None:
            row = connection.execute(_newest(name, version)).first()
            return None if row is None else _template(row)

        found = await self._database.read(act)
        if found is None:
            raise NotFound(f"there is no template {name}" + (f" of version {version}" if version else ""))
        return found

    async def templates(self) -> list[Template]:
        """The newest version of each, by name."""
        newest = select(prompt_templates.c.name, func.max(prompt_templates.c.version).label("version"))
        newest_ = newest.group_by(prompt_templates.c.name).subquery()
        same = and_(
            prompt_templates.c.name == newest_.c.name, prompt_templates.c.version == newest_.c.version
        )
        query = select(prompt_templates).join(newest_, same).order_by(prompt_templates.c.name)
        return await self._read_all(query, _template)

    async def versions(self, name: str) -> list[Template]:
        """All of one name, the newest first. Raises `NotFound`."""
        query = select(prompt_templates).where(prompt_templates.c.name == name)
        found = await self._read_all(query.order_by(prompt_templates.c.version.desc()), _template)
        if not found:
            raise NotFound(f"there is no template {name}")
        return found

    # -- tests -------------------------------------------------------------------------------------------

    async def add_experiment(self, new: NewExperiment, by: str) -> Experiment:
        """Begin a test. Raises `Conflict` when the name is taken, and `InvalidRequest` when there are too
        many."""

        def act(connection: Connection) -> Experiment | str:
            if connection.execute(select(func.count()).select_from(prompt_experiments)).scalar_one() >= (
                MAX_EXPERIMENTS
            ):
                return "there are too many tests"
            values = {"name": new.name, "arms": json.dumps(new.arms), "tenant": by}
            connection.execute(insert(prompt_experiments).values(**values, created_at=time.time()))
            return _experiment(connection.execute(_named(new.name)).one())

        try:
            return _or_invalid(await self._database.write(act), "name")
        except Taken:
            raise Conflict(f"there is a test {new.name} already; give this one another name") from None

    async def experiment(self, name: str) -> Experiment:
        """Raises `NotFound`."""
        found = await self._read_all(_named(name), _experiment)
        if not found:
            raise NotFound(f"there is no test {name}")
        return found[0]

    async def experiments(self) -> list[Experiment]:
        """All, the newest first."""
        query = select(prompt_experiments).order_by(prompt_experiments.c.created_at.desc())
        return await self._read_all(query, _experiment)

    async def end_experiment(self, name: str) -> Experiment:
        """Jobs get its first template from now on. Raises `NotFound`."""
        ended = update(prompt_experiments).where(
            prompt_experiments.c.name == name, prompt_experiments.c.ended_at.is_(None)
        )
        await self._database.write(lambda connection: connection.execute(ended.values(ended_at=time.time())))
        return await self.experiment(name)

    async def add_trial(self, job_id: str, experiment: str, arm: str) -> None:
        """A job drew one of a test's templates."""

        def act(connection: Connection) -> None:
            values = {"job_id": job_id, "experiment": experiment, "arm": arm}
            connection.execute(insert(prompt_trials).values(**values))

        await self._database.write(act)

    async def arms(self, experiment: str) -> dict[str, tuple[int, int, int]]:
        """Per template: jobs, pictures kept, pictures deleted."""
        trials = select(prompt_trials.c.arm, func.count().label("jobs")).where(
            prompt_trials.c.experiment == experiment
        )
        verdicts = select(prompt_verdicts.c.arm, prompt_verdicts.c.verdict, func.count()).where(
            prompt_verdicts.c.experiment == experiment
        )

        def act(connection: Connection) -> dict[str, tuple[int, int, int]]:
            jobs = {row.arm: row.jobs for row in connection.execute(trials.group_by(prompt_trials.c.arm))}
            said: dict[tuple[str, str], int] = {
                (arm, verdict): count
                for arm, verdict, count in connection.execute(
                    verdicts.group_by(prompt_verdicts.c.arm, prompt_verdicts.c.verdict)
                )
            }
            return {
                arm: (jobs.get(arm, 0), said.get((arm, "kept"), 0), said.get((arm, "deleted"), 0))
                for arm in {*jobs, *(arm for arm, _ in said)}
            }

        return await self._database.read(act)

    # -- what users keep ---------------------------------------------------------------------------------

    async def judge(
        self,
        tenant: str,
        image_id: str,
        verdict: Verdict,
        *,
        style: str | None,
        size: str,
        provider: str,
        trial: tuple[str, str] | None,
    ) -> None:
        """What a user thinks of a picture; the last word counts. `trial` is the test and its template."""
        experiment, arm = trial or (None, None)
        key = and_(prompt_verdicts.c.tenant == tenant, prompt_verdicts.c.image_id == image_id)

        def act(connection: Connection) -> None:
            connection.execute(delete(prompt_verdicts).where(key))
            connection.execute(
                insert(prompt_verdicts).values(
                    tenant=tenant,
                    image_id=image_id,
                    verdict=verdict,
                    style=style,
                    size=size,
                    provider=provider,
                    experiment=experiment,
                    arm=arm,
                    at=time.time(),
                )
            )

        await self._write(act)

    async def judged(self, tenant: str) -> dict[str, list[tuple[str, int, int]]]:
        """Per `style`, `size` and `provider`: each value with how often it was kept and deleted."""

        def act(connection: Connection) -> dict[str, list[tuple[str, int, int]]]:
            return {kind: _counted(connection, tenant, kind) for kind in _KINDS}

        return await self._database.read(act)

    async def forget(self, tenant: str) -> int:
        """Erase all verdicts of a user; how many there were."""
        gone = delete(prompt_verdicts).where(prompt_verdicts.c.tenant == tenant)
        return await self._database.write(lambda connection: connection.execute(gone).rowcount)

    # -- how rewriting went ------------------------------------------------------------------------------

    async def count(self, one: RewriteCount) -> None:
        """Add to the sums of a step, model and outcome."""
        key = one.model_dump(include={"step", "model", "outcome"})
        sums = one.model_dump(exclude=set(key))
        table = prompt_rewrites.c
        added = update(prompt_rewrites).where(*(table[name] == value for name, value in key.items()))

        def act(connection: Connection) -> None:
            more = {name: table[name] + value for name, value in sums.items()}
            if not connection.execute(added.values(**more)).rowcount:
                connection.execute(insert(prompt_rewrites).values(**key, **sums))

        await self._write(act)

    async def counts(self) -> list[RewriteCount]:
        """All sums, by step, model and outcome."""
        table = prompt_rewrites.c
        query = select(prompt_rewrites).order_by(table.step, table.model, table.outcome)
        return await self._read_all(query, _rewrites)

    # -- inside ------------------------------------------------------------------------------------------

    async def _write(self, act: Callable[[Connection], T]) -> T:
        """Where another process wrote the same key meanwhile, look again. Raises `StorageError`."""
        for _ in range(_AGAIN):
            try:
                return await self._database.write(act)
            except Taken:
                continue
        return await self._database.write(act)

    async def _read_all(self, query: Any, read: Callable[[Row[Any]], T]) -> list[T]:  # noqa: ANN401 - a Select of any columns
        return await self._database.read(
            lambda connection: [read(row) for row in connection.execute(query).all()]
        )


def _newest(name: str, version: int | None = None) -> Any:  # noqa: ANN401 - a Select of any columns
    query = select(prompt_templates).where(prompt_templates.c.name == name)
    if version is not None:
        query = query.where(prompt_templates.c.version == version)
    return query.order_by(prompt_templates.c.version.desc()).limit(1)


def _named(name: str) -> Any:  # noqa: ANN401 - a Select of any columns
    return select(prompt_experiments).where(prompt_experiments.c.name == name)


def _names(connection: Connection) -> int:
    names = select(func.count(func.distinct(prompt_templates.c.name)))
    return int(connection.execute(names).scalar_one())


def _same(row: Row[Any], new: NewTemplate) -> bool:
    told = (row.text, row.negative_prompt, row.description)
    return told == (new.text, new.negative_prompt, new.description)


def _template(row: Row[Any]) -> Template:
    return Template(
        name=row.name,
        version=row.version,
        text=row.text,
        negative_prompt=row.negative_prompt,
        description=row.description,
        by=row.tenant,
        created_at=row.created_at,
    )


def _experiment(row: Row[Any]) -> Experiment:
    arms: Sequence[str] = json.loads(row.arms)
    return Experiment(
        name=row.name, arms=tuple(arms), by=row.tenant, created_at=row.created_at, ended_at=row.ended_at
    )


def _rewrites(row: Row[Any]) -> RewriteCount:
    return RewriteCount.model_validate(row, from_attributes=True)


def _counted(connection: Connection, tenant: str, kind: str) -> list[tuple[str, int, int]]:
    column = _KINDS[kind]
    query = select(column, prompt_verdicts.c.verdict, func.count()).where(
        prompt_verdicts.c.tenant == tenant, column.is_not(None)
    )
    found: dict[str, list[int]] = {}
    for value, verdict, count in connection.execute(query.group_by(column, prompt_verdicts.c.verdict)):
        found.setdefault(value, [0, 0])[verdict != "kept"] += count
    return sorted(((value, kept, deleted) for value, (kept, deleted) in found.items()))


def _or_invalid(answer: T | str, field: str) -> T:
    if isinstance(answer, str):
        raise InvalidRequest(answer, field)
    return answer
