"""What there is, what was done and what it cost. Each imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.common import Debug, Json, Out, whole


def models(
    *,
    provider: Annotated[str | None, typer.Option("--provider", help="Only this provider's.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Those too that nothing is set up for, and retired ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models that can be asked for, with prices."""
    from limner.cli.show import models as run

    run(of=provider, everything=everything, as_json=as_json)


def providers(as_json: Json = False, debug: Debug = False) -> None:
    """List who can draw now, and why not."""
    from limner.cli.jobs import providers as run

    run(as_json=as_json, debug=debug)


def jobs(
    *,
    which: Annotated[
        str | None,
        typer.Argument(metavar="ID|cancel|decide", help="One job; without it, the newest are listed."),
    ] = None,
    of: Annotated[
        str | None, typer.Argument(metavar="ID", help="After `cancel` and `decide`: the job.")
    ] = None,
    said: Annotated[
        str | None, typer.Argument(metavar="WORD", help="After `decide`: accept, cancel, pay-again, ...")
    ] = None,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="After `decide ID delivered`: the picture.")
    ] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only jobs in this state.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="Only jobs of this project.")] = None,
    limit: Annotated[int, whole("--limit", text="How many to list, 1 to 200.")] = 50,
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List jobs; `limner jobs ID` shows one with its receipt, `limner jobs cancel ID` stops one, and
    `limner jobs decide ID WORD` answers one that asks."""
    from limner.cli import jobs as run
    from limner.cli import reconcile as consent

    if which == "decide" and of is not None:
        consent.decide(of, said, file, by=None, as_json=as_json, debug=debug)
        return
    if said is not None:
        raise typer.BadParameter(f"{said[:40]!r} is one word too many")
    match which, of:
        case None, _:
            run.jobs(state=state, project=project, limit=limit, as_json=as_json, debug=debug)
        case "cancel" | "decide", None:
            raise typer.BadParameter(f"`limner jobs {which}` needs the job's id; `limner jobs` lists them")
        case "cancel", str(job_id):
            run.cancel(job_id, as_json=as_json, debug=debug)
        case str(job_id), None:
            run.job(job_id, out=out, as_json=as_json, debug=debug)
        case _:
            raise typer.BadParameter(
                f"{which!r} is no act on a job; there are `limner jobs ID` and `limner jobs cancel ID`"
            )


def usage(
    *,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day. (default: the month's first)")
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="DAY", help="Last day, in UTC, as 2026-11-20. (default: today)"),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", help="day, month, user, project, provider, account or model.")
    ] = "day",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what was spent, by day in UTC or otherwise, and how far budgets and limits are used."""
    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json are two forms of the same; give one")
    from limner.cli.usage import usage as run

    run(first, last, by=by, form="csv" if as_csv else "json" if as_json else "table", debug=debug)


def audit(as_json: Json = False, debug: Debug = False) -> int:
    """Compare every order with the ledger; exit 0 when they agree, 1 when they do not."""
    from limner.cli.usage import audit as run

    return run(as_json=as_json, debug=debug)


def reconcile(
    *,
    job: Annotated[
        str | None, typer.Argument(metavar="ID", help="The job to decide on; without it, all are listed.")
    ] = None,
    said: Annotated[
        str | None,
        typer.Argument(metavar="WORD", help="pay-again, write-off or delivered; accept or cancel a price."),
    ] = None,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="After `delivered`: the picture that came.")
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask the vendors about all, and take what is there.")
    ] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who decides. (default: who runs this)")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List orders that may have been charged and brought nothing; ask about them, or decide on one."""
    from limner.cli import reconcile as run

    if ask and job is not None:
        raise typer.BadParameter("--ask asks about all lost orders; leave the job out")
    if job is not None:
        run.decide(job, said, file, by=by, as_json=as_json, debug=debug)
    elif ask:
        run.ask_vendors(as_json=as_json, debug=debug)
    else:
        run.lost(as_json=as_json, debug=debug)


def config(as_json: Json = False) -> None:
    """Show every setting in force and where it came from."""
    from limner.cli.show import config as run

    run(as_json=as_json)


def version(as_json: Json = False) -> None:
    """Print the version."""
    import platform
    import sys

    from limner import __version__

    if as_json:
        from limner.cli.words import print_json

        print_json({"limner": __version__, "python": platform.python_version()})
    else:
        sys.stdout.write(f"limner {__version__} (Python {platform.python_version()})\n")
