"""Projects: what pictures belong together."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from limner.api.caller import caller
from limner.api.reference import BODY, get, takes, unified_errors
from limner.api.unified_body import as_model, read_object
from limner.app import Limner
from limner.core.project import Project
from limner.core.request import says_something
from limner.core.text import clean_text


def _visible(text: str) -> str:
    if not says_something(text):
        raise ValueError("is empty; say what the project is called")
    return text


class ProjectBody(BaseModel):
    """A project to be made. The name is for people: it becomes no path."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[
        str, Field(min_length=1, max_length=200), AfterValidator(clean_text), AfterValidator(_visible)
    ]
    description: Annotated[str, Field(max_length=10_000), AfterValidator(clean_text)] | None = None


class ListedProject(BaseModel):
    """A project as clients see it."""

    id: UUID
    name: str
    description: str | None
    created_at: datetime
    updated_at: datetime


_ALL = TypeAdapter(list[ListedProject])


class ProjectDoor:
    """The door. Every address is taken with and without a slash at its end."""

    def __init__(self, limner: Limner, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        one = unified_errors(404, 422, 507)
        for end in ("/", ""):
            shown = {"tags": ["Projects"], "include_in_schema": end == "/"}
            get(
                app,
                f"/projects{end}",
                self.all,
                summary="List the caller's projects, oldest first",
                response_model=list[ListedProject],
                responses=unified_errors(507),
                **shown,
            )
            app.add_api_route(
                f"/projects{end}",
                self.create,
                methods=["POST"],
                summary="Make a project",
                response_model=ListedProject,
                responses=unified_errors(*BODY, 422, 507),
                openapi_extra=takes(ProjectBody),
                tags=["Projects"],
                include_in_schema=end == "/",
            )
        for end in ("", "/"):
            shown = {"tags": ["Projects"], "include_in_schema": not end}
            path = f"/projects/{{project_id}}{end}"
            get(
                app,
                path,
                self.one,
                summary="Read a project",
                response_model=ListedProject,
                responses=one,
                **shown,
            )
            app.add_api_route(
                path,
                self.delete,
                methods=["DELETE"],
                summary="Put a project away: its pictures stay, and nothing more is ordered in it",
                response_model=ListedProject,
                responses=unified_errors(404, 409, 422, 507),
                tags=["Projects"],
                include_in_schema=not end,
            )

    async def all(self, request: Request) -> Response:
        """Answer a bare array of `ListedProject`s."""
        found = [_listed(one) for one in await self._limner.projects.all(caller(request))]
        return Response(_ALL.dump_json(found), media_type="application/json")

    async def create(self, request: Request) -> Response:
        """Answer the `ListedProject`."""
        body = as_model(await read_object(request, self._limit), ProjectBody)
        return _json(await self._limner.projects.create(body.name, body.description, caller(request)))

    async def one(self, request: Request, project_id: UUID) -> Response:
        """Answer the `ListedProject`."""
        return _json(await self._limner.projects.one(project_id, caller(request)))

    async def delete(self, request: Request, project_id: UUID) -> Response:
        """Answer the `ListedProject` as it was."""
        return _json(await self._limner.projects.delete(project_id, caller(request)))


def _listed(project: Project) -> ListedProject:
    return ListedProject(**project.model_dump(exclude={"slug"}))


def _json(project: Project) -> Response:
    return Response(_listed(project).model_dump_json(), media_type="application/json")
