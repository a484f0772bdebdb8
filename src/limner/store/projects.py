"""Projects and what was ordered in them, as their owners see it. Each method is one transaction."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, column, or_, select, table, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from limner.core.errors import Conflict, NotFound
from limner.core.ids import uuid7
from limner.core.job import Artifact, Job
from limner.core.project import JobStatus, Project, project_id
from limner.store import rows, steps
from limner.store.connections import Connections
from limner.store.schema import artifacts, jobs, projects

DEFAULT = "default"
_PAST = table(
    "generation_jobs", column("generation_id"), column("provider"), column("project_id"), column("status")
)


class Projects:
    """`by` sees what is theirs, and what is nobody's."""

    def __init__(self, database: Connections) -> None:
        self._database = database

    async def all(self, by: str) -> list[Project]:
        """Those that were not deleted, oldest first."""

        def act(connection: Connection) -> list[Project]:
            query = select(projects).where(projects.c.deleted_at.is_(None), _visible(by))
            found = connection.execute(query.order_by(projects.c.created_at, projects.c.id)).all()
            return [_project(row) for row in found]

        return await self._database.read(act)

    async def one(self, identity: UUID, by: str) -> Project:
        """A project by id. Raises `NotFound`, for another's too."""

        def act(connection: Connection) -> Project:
            row = _row(connection, identity)
            if row is None or not _open_to(row, by):
                raise NotFound(f"no project {identity}")
            return _project(row)

        return await self._database.read(act)

    async def create(self, name: str, description: str | None, by: str) -> Project:
        """A new project of `by`."""
        identity, now = uuid7(), datetime.now(UTC)
        values = {"id": identity, "slug": identity, "name": name, "description": description}
        stamps = {"user_id": by, "created_at": now, "updated_at": now}
        await self._database.write(lambda connection: _add(connection, values | stamps))
        return await self.one(UUID(identity), by)

    async def delete(self, identity: UUID, by: str) -> Project:
        """Put a project away: its pictures stay where they are, and nothing more is ordered in it. Raises
        `NotFound`, and `Conflict` for the one that everybody uses."""

        def act(connection: Connection) -> Project:
            row = _row(connection, identity)
            if row is None or not _open_to(row, by):
                raise NotFound(f"no project {identity}")
            if row.slug == DEFAULT:
                raise Conflict("the default project cannot be deleted")
            put_away = update(projects).where(projects.c.id == str(identity))
            connection.execute(put_away.values(deleted_at=datetime.now(UTC)))
            return _project(row)

        return await self._database.write(act)

    async def slug(self, identity: UUID, by: str) -> str:
        """What orders call the project. One that is not known yet comes into being with its first order.
        Raises `NotFound` for one that was deleted, and for another's."""

        def act(connection: Connection) -> str:
            row = _row(connection, identity)
            if row is not None and not _open_to(row, by):
                raise NotFound(f"no project {identity}")
            return str(identity) if row is None else str(row.slug)

        return await self._database.read(act)

    async def history(
        self,
        by: str,
        *,
        job_id: str | None = None,
        project: UUID | None = None,
        provider: str | None = None,
        status: JobStatus | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """The jobs `by` ordered, and those in their projects, newest first."""
        wanted = ((_PAST.c.provider, provider), (_PAST.c.status, status), (jobs.c.id, job_id))
        chosen = [one == value for one, value in wanted if value is not None]
        if project is not None:
            chosen.append(jobs.c.project.in_(_slugs(project)))
        own = select(projects.c.slug).where(projects.c.user_id == by)
        query = (
            select(jobs)
            .join(_PAST, _PAST.c.generation_id == jobs.c.id)
            .where(or_(jobs.c.tenant == by, jobs.c.project.in_(own)), *chosen)
            .order_by(jobs.c.id.desc())
            .limit(limit)
        )

        def act(connection: Connection) -> list[Job]:
            return steps.with_details(connection, connection.execute(query).all())

        return await self._database.read(act)

    async def remove_image(self, image_id: str, by: str) -> Artifact:
        """Put a picture away: its record and file stay, and it is not served any more. Raises `NotFound`."""

        def act(connection: Connection) -> Artifact:
            own = select(projects.c.slug).where(projects.c.user_id == by)
            whose = or_(jobs.c.tenant == by, jobs.c.project.in_(own))
            found = select(artifacts).join(jobs, jobs.c.id == artifacts.c.job_id)
            row = connection.execute(
                found.where(artifacts.c.id == image_id, artifacts.c.status == "active", whose)
            ).first()
            if row is None:
                raise NotFound(f"no picture {image_id[:200]!r}")
            away = update(artifacts).where(artifacts.c.id == image_id)
            connection.execute(away.values(status="deleted"))
            return rows.to_artifact(row)

        return await self._database.write(act)


def ensure(connection: Connection, slug: str, tenant: str) -> None:
    """Within the transaction of an order: its project has a row."""
    owner = None if slug == DEFAULT else tenant
    values = {"id": str(project_id(slug)), "slug": slug, "name": slug, "user_id": owner}
    _add(connection, values)


def _add(connection: Connection, values: Mapping[str, object]) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(projects).values(dict(values)).on_conflict_do_nothing())


def _row(connection: Connection, identity: UUID) -> Row[Any] | None:
    return connection.execute(select(projects).where(projects.c.id == str(identity))).first()


def _slugs(identity: UUID) -> Any:  # noqa: ANN401 - a select; its generic says nothing
    return select(projects.c.slug).where(projects.c.id == str(identity))


def _visible(by: str) -> ColumnElement[bool]:
    return or_(projects.c.user_id.is_(None), projects.c.user_id == by)


def _open_to(row: Row[Any], by: str) -> bool:
    return row.deleted_at is None and row.user_id in (None, by)


def _project(row: Row[Any]) -> Project:
    return Project(
        id=UUID(row.id),
        slug=row.slug,
        name=row.name,
        description=row.description,
        created_at=_aware(row.created_at),
        updated_at=_aware(row.updated_at),
    )


def _aware(at: datetime) -> datetime:
    """SQLite holds times in UTC without saying so."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
