"""The commands and their options. Each imports what it needs when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from limner.cli import options

if TYPE_CHECKING:
    from limner.core.request import Format

app = typer.Typer(
    name="limner",
    help="Draws pictures from words, on this machine or at a vendor: `limner generate 'a red fox'`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, errors too.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show what Limner does, and tracebacks.")]
Out = Annotated[str | None, typer.Option("--out", "-o", metavar="PATH", help="File or folder to save to.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A PNG, JPEG or WebP picture.")]


def _whole(*names: str, text: str) -> Any:  # noqa: ANN401 - typer's own factories are untyped too
    return typer.Option(*names, parser=options.whole, metavar="N", help=text)


@app.command()
def generate(
    *,
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="What the picture shows. `-` reads stdin.")
    ] = "",
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="File or folder. A named file is replaced, else a free name taken. (default: picture.png)",
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Width and height in one word.")
    ] = None,
    width: Annotated[int | None, _whole("--width", text="Pixels; goes with --height.")] = None,
    height: Annotated[int | None, _whole("--height", text="Pixels; goes with --width.")] = None,
    steps: Annotated[int | None, _whole("--steps", text="Denoising steps: more is slower and finer.")] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option(
            "--guidance-scale",
            "--guidance_scale",
            parser=options.number,
            metavar="X",
            help="How closely to follow the prompt, 1 to 30.",
        ),
    ] = None,
    seed: Annotated[int | None, _whole("--seed", text="The same seed gives the same picture.")] = None,
    style: Annotated[
        str | None, typer.Option("--style", help="A style the model knows; see `limner models --json`.")
    ] = None,
    negative_prompt: Annotated[
        str | None, typer.Option("--negative-prompt", "--negative_prompt", help="What must not be seen.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="A model by any of its names; see `limner models`.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", help="Who draws it; see `limner providers`.")
    ] = None,
    quality: Annotated[
        str | None, typer.Option("--quality", help="fast, standard, quality or ultra.")
    ] = None,
    n: Annotated[int, _whole("--n", "-n", text="How many pictures, 1 to 10.")] = 1,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            parser=options.form,
            metavar="FORMAT",
            help="png, jpeg or webp. (default: as --out ends, else png)",
        ),
    ] = None,
    compression: Annotated[
        int | None, _whole("--compression", text="JPEG and WebP: 100 keeps most detail.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", help="The project the pictures belong to.")
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", "-i", metavar="FILE", help="A picture to work on; may be given again."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", metavar="FILE", help="PNG, transparent where to paint anew: inpaint."),
    ] = None,
    operation: Annotated[
        str | None,
        typer.Option(
            "--operation",
            help="edit, inpaint, image-to-image, variation or upscale. (default: by what is given)",
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            "--strength", parser=options.number, metavar="X", help="image-to-image: 0 keeps, 1 ignores."
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--scale", parser=options.number, metavar="X", help="upscale: times the size."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="NAME=VALUE", help="What only this model understands; may be given again."
        ),
    ] = None,
    max_cost: Annotated[
        str | None,
        typer.Option("--max-cost", metavar="USD", help="The most it may cost, a fallback included."),
    ] = None,
    prefer: Annotated[
        str | None,
        typer.Option(
            "--prefer", help="local-first, cheapest, fastest, balanced, tier, ... (default: local-first)"
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse rather than bend anything.")] = False,
    substitutes: Annotated[
        bool, typer.Option("--substitutes", help="Fall back to models of another tier too.")
    ] = False,
    fallback: Annotated[
        bool, typer.Option("--fallback/--no-fallback", help="Ask the next one when the first fails.")
    ] = True,
    quote: Annotated[bool, typer.Option("--quote", help="Say what it would cost, and draw nothing.")] = False,
    accept: Annotated[
        str | None,
        typer.Option("--accept", metavar="TOKEN", help="A quote of --quote: it never costs more than that."),
    ] = None,
    confirm_above: Annotated[
        str | None,
        typer.Option(
            "--confirm-above", metavar="USD", help="What costs more waits for `limner jobs decide`."
        ),
    ] = None,
    said: Annotated[
        str | None, typer.Option("--prompt", metavar="PROMPT", help="The prompt, said as an option.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Ask the gRPC server there. (default: localhost, with --port)"),
    ] = None,
    port: Annotated[
        int | None, _whole("--port", text="Ask the gRPC server at this port. (default: 50051, with --host)")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw pictures from a prompt and save them."""
    if prompt and said is not None:
        raise typer.BadParameter("the prompt is given twice; leave --prompt out or give nothing else")
    prompt = prompt or said or ""
    if quote and accept is not None:
        raise typer.BadParameter("--quote asks for a price and --accept orders at one; give one or the other")
    if size is not None and (width is not None or height is not None):
        raise typer.BadParameter("--size says what --width and --height say; give one or the other")
    from limner.cli.generate import Wish, spoken
    from limner.cli.generate import generate as run

    sides = (width, height) if size is None else options.size(size)
    fields = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "model": model,
        "provider": provider,
        "count": n,
        "width": sides[0],
        "height": sides[1],
        "steps": steps,
        "guidance_scale": guidance_scale,
        "seed": seed,
        "style": style,
        "quality": quality,
        "compression": compression,
        "project": project,
        "operation": operation or options.operation(inputs or [], mask, strength, scale),
        "strength": strength,
        "scale": scale,
        "options": options.of_a_model(option or []) or None,
        "quote": accept,
        "policy": options.policy(
            max_cost_usd=max_cost,
            confirm_above_usd=confirm_above,
            prefer=prefer,
            strict=strict,
            substitutes=substitutes,
            fallback=fallback,
        ),
    }
    if host is not None or port is not None:
        from limner.cli import draw_rpc

        draw_rpc.check(fields, form=form, pictures=bool(inputs or mask), quote=quote)
        draw_rpc.draw(
            draw_rpc.Ask(
                prompt=spoken(prompt),
                out=out,
                model=model,
                width=sides[0],
                height=sides[1],
                steps=steps,
                guidance_scale=guidance_scale,
                seed=seed,
                style=style,
                host=host,
                port=port,
                as_json=as_json,
                debug=debug,
            )
        )
        return
    wish = Wish(
        out=out,
        form=cast("Format | None", form),
        as_json=as_json,
        quote=quote,
        debug=debug,
        inputs=tuple(inputs or ()),
        mask=mask,
    )
    run(fields, wish)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen at. (default: the setting `host`)")
    ] = None,
    port: Annotated[
        int | None, _whole("--port", text="Port to listen at. (default: the setting `port`)")
    ] = None,
    *,
    grpc_port: Annotated[
        int | None, _whole("--grpc-port", text="Port for gRPC; 0: none. (default: the setting `grpc_port`)")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Every vendor is a stand-in on this machine: no key, no cost.")
    ] = False,
    faults: Annotated[
        str,
        typer.Option("--faults", metavar="SCHEDULE", help="With --simulate: openai:cut_after=0.1,*:slow=0.2"),
    ] = "",
    seed: Annotated[int | None, _whole("--seed", text="With --simulate: the faults' seed.")] = None,
) -> None:
    """Answer over HTTP (OpenAI's images API, Limner's own, the web pages) and gRPC."""
    if (faults or seed is not None) and not simulate:
        raise typer.BadParameter("--faults and --seed go with --simulate")
    from limner.cli.serve import serve as run

    run(host=host, port=port, grpc_port=grpc_port, simulated=(faults, seed) if simulate else None)


@app.command()
def grpc(
    host: Annotated[
        str | None,
        typer.Option("--host", help="Address to listen at. (default: the setting `grpc_host`, else `host`)"),
    ] = None,
    port: Annotated[
        int | None, _whole("--port", text="Port to listen at. (default: the setting `grpc_port`)")
    ] = None,
    *,
    model_dir: Annotated[
        Path | None, typer.Option("--model-dir", "--model_dir", help="Accepted; changes nothing.")
    ] = None,
    max_models: Annotated[
        int | None, _whole("--max-models", "--max_models", text="Accepted; changes nothing.")
    ] = None,
    max_disk_cache: Annotated[
        float | None,
        typer.Option(
            "--max-disk-cache",
            "--max_disk_cache",
            parser=options.number,
            metavar="GB",
            help="Accepted; changes nothing.",
        ),
    ] = None,
    cleanup_interval: Annotated[
        float | None,
        typer.Option(
            "--cleanup-interval",
            "--cleanup_interval",
            parser=options.number,
            metavar="S",
            help="Accepted; changes nothing.",
        ),
    ] = None,
) -> None:
    """Answer over gRPC alone, with the options that image servers before Limner had."""
    from limner.cli.rpc import grpc as run

    unused = {
        "--model-dir": model_dir,
        "--max-models": max_models,
        "--max-disk-cache": max_disk_cache,
        "--cleanup-interval": cleanup_interval,
    }
    run(host=host, port=port, unused=unused)


@app.command()
def simulate(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, _whole("--port", text="Port to listen at.")] = 8091,
    seed: Annotated[int | None, _whole("--seed", text="What is drawn by lot: faults, ids.")] = None,
    faults: Annotated[
        str,
        typer.Option("--faults", metavar="SCHEDULE", help="As in openai:cut_after=0.1,*:slow=0.2"),
    ] = "",
    speed: Annotated[
        float, typer.Option("--speed", parser=options.number, metavar="X", help="Times faster than life.")
    ] = 20.0,
) -> None:
    """Run stand-ins of all vendors, with their bills and faults, for clients and tests."""
    from limner.cli.simulate import run

    run(host, port, seed, faults, speed)


@app.command()
def lab(
    *,
    scenario: Annotated[
        str, typer.Option("--scenario", metavar="NAME", help="havoc, week, matrix, all-up, budget, ...")
    ] = "havoc",
    jobs: Annotated[int, _whole("--jobs", text="How many to order.")] = 200,
    kills: Annotated[int, _whole("--kills", text="With havoc: how many processes to kill.")] = 40,
    seed: Annotated[int, _whole("--seed", text="The same seed orders, breaks and kills the same.")] = 1,
    database: Annotated[
        str, typer.Option("--database", help="sqlite: one server. postgres: two, and two workers.")
    ] = "sqlite",
    as_json: Json = False,
) -> int:
    """Try Limner's promises on real processes and simulated vendors: kills, faults, full disks; exit 1 when
    one is broken."""
    from limner.cli.lab import run

    return run(scenario=scenario, jobs=jobs, kills=kills, seed=seed, database=database, as_json=as_json)


@app.command()
def worker() -> None:
    """Run jobs without a door until stopped."""
    from limner.cli.serve import worker as run

    run()


@app.command()
def mcp(debug: Debug = False) -> None:
    """Offer Limner's tools to a language model's program over stdin and stdout (Model Context Protocol)."""
    from limner.cli.protocol import check_mcp

    check_mcp()
    from limner.cli.mcp import mcp as run

    run(debug=debug)


@app.command()
def chat(
    *,
    port: Annotated[int, _whole("--port", text="Port to listen at, on this machine only.")] = 8000,
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
    debug: Debug = False,
) -> None:
    """Open the chat window, which draws and talks. Needs `pip install 'limner[chainlit]'`."""
    from limner.cli.chat import chat as run

    run(port=port, headless=headless, debug=debug)


@app.command()
def engine(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, _whole("--port", text="Port to listen at.")] = 50053,
    threads: Annotated[
        int | None, _whole("--threads", text="Processor threads for one step. (default: one per processor)")
    ] = None,
) -> int:
    """Run the local engine alone, for Limners elsewhere that name it as `engine_url`."""
    from limner.cli.serve import engine as run

    return run(host, port, threads)


@app.command()
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


@app.command()
def providers(as_json: Json = False, debug: Debug = False) -> None:
    """List who can draw now, and why not."""
    from limner.cli.jobs import providers as run

    run(as_json=as_json, debug=debug)


@app.command()
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
    limit: Annotated[int, _whole("--limit", text="How many to list, 1 to 200.")] = 50,
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


@app.command()
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


@app.command()
def prompt(
    text: Annotated[str, typer.Argument(metavar="PROMPT", help="The prompt to look at.")],
    as_json: Json = False,
) -> None:
    """Say what a prompt says about itself: its length, its terms, two scores. Nobody is asked."""
    from limner.cli.prompts import prompt as run

    run(text, as_json=as_json)


@app.command()
def styles(as_json: Json = False) -> None:
    """List Limner's own styles, for `prompting.style_preset`."""
    from limner.cli.prompts import styles as run

    run(as_json=as_json)


@app.command()
def audit(as_json: Json = False, debug: Debug = False) -> int:
    """Compare every order with the ledger; exit 0 when they agree, 1 when they do not."""
    from limner.cli.usage import audit as run

    return run(as_json=as_json, debug=debug)


@app.command()
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


@app.command()
def inspect(file: File, as_json: Json = False) -> None:
    """Show what a picture says about how it was made."""
    from limner.cli.replay import inspect as run

    run(file, as_json=as_json)


@app.command()
def replay(file: File, out: Out = None, as_json: Json = False, debug: Debug = False) -> int:
    """Make a picture again from the recipe in it; exit 0 when the bytes are equal, 1 when they differ."""
    from limner.cli.replay import replay as run

    return run(file, out=out, as_json=as_json, debug=debug)


@app.command()
def config(as_json: Json = False) -> None:
    """Show every setting in force and where it came from."""
    from limner.cli.show import config as run

    run(as_json=as_json)


@app.command()
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
