"""What was spent, what may still be spent, and whether the books agree."""

import re
import time
from typing import Annotated, Literal

from fastapi import FastAPI, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from limner.api.reference import answer, get, limner_errors
from limner.app import Limner
from limner.core.usage import Audit, Standings, UsageBy, UsageReport, as_csv, span

Kind = Literal["json", "csv"]
_CSV = "text/csv; charset=utf-8; header=present"
_FROM = Query(alias="from", max_length=40, description="A day in UTC, as in 2026-11-20. It is included.")
_TO = Query(max_length=40, description="A day in UTC. It is included.")


class Usage:
    """The door. Nothing here buys or changes anything."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        get(
            app,
            "/v1/usage",
            self.usage,
            tags=["Money"],
            summary="What was ordered and spent, by day, month, user, project, provider, account or model",
            description=(
                "Orders count on the day they were placed, in UTC. As CSV with `format=csv` or "
                "`Accept: text/csv`. Without `from` the month that holds `to`; without `to` until today."
            ),
            response_model=UsageReport,
            responses=answer(200, "The groups and their total; the CSV is without the total", "text/csv")
            | limner_errors(400, 507),
        )
        get(
            app,
            "/v1/budgets",
            self.budgets,
            tags=["Money"],
            summary="How far each budget and limit is used now",
            response_model=Standings,
            responses=limner_errors(507),
        )
        get(
            app,
            "/v1/audit",
            self.audit,
            tags=["Money"],
            summary="Compare every order with the ledger",
            response_model=Audit,
            responses=limner_errors(507),
        )

    async def usage(
        self,
        request: Request,
        from_: Annotated[str | None, _FROM] = None,
        to: Annotated[str | None, _TO] = None,
        by: UsageBy = "day",
        kind: Annotated[Kind | None, Query(alias="format")] = None,
    ) -> Response:
        """Answer a `UsageReport`, or the same as CSV."""
        first_day, last_day = span(from_, to, time.time())
        report = await self._limner.usage(first_day, last_day, by)
        if (kind or _preferred(request.headers.get("accept", ""))) == "json":
            return _json(report, {"vary": "accept"})
        file = f"usage-{by}-{first_day}-{last_day}.csv"
        headers = {"vary": "accept", "content-disposition": f'attachment; filename="{file}"'}
        return Response(as_csv(report), 200, headers, _CSV)

    async def budgets(self) -> Response:
        """Answer the `Standings`."""
        return _json(await self._limner.standings())

    async def audit(self) -> Response:
        """Answer the `Audit`."""
        return _json(await self._limner.audit())


def _preferred(accept: str) -> Kind:
    """CSV only where it is named and wanted more than JSON (RFC 9110, 12.5.1)."""
    wanted = {"text/csv": 0.0, "application/json": 0.0}
    for part in accept.split(","):
        kind, _, parameters = part.partition(";")
        weight = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", parameters)
        if kind.strip().lower() in wanted:
            wanted[kind.strip().lower()] = float(weight[1]) if weight else 1.0
    return "csv" if wanted["text/csv"] > wanted["application/json"] else "json"


def _json(body: BaseModel, headers: dict[str, str] | None = None) -> Response:
    return Response(body.model_dump_json(), 200, headers, "application/json")
