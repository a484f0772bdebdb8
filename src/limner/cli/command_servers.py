"""The commands that stay until they are stopped. Each imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli import options
from limner.cli.common import Debug, Json, whole


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen at. (default: the setting `host`)")
    ] = None,
    port: Annotated[
        int | None, whole("--port", text="Port to listen at. (default: the setting `port`)")
    ] = None,
    *,
    grpc_port: Annotated[
        int | None, whole("--grpc-port", text="Port for gRPC; 0: none. (default: the setting `grpc_port`)")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Every vendor is a stand-in on this machine: no key, no cost.")
    ] = False,
    faults: Annotated[
        str,
        typer.Option("--faults", metavar="SCHEDULE", help="With --simulate: openai:cut_after=0.1,*:slow=0.2"),
    ] = "",
    seed: Annotated[int | None, whole("--seed", text="With --simulate: the faults' seed.")] = None,
) -> None:
    """Answer over HTTP (OpenAI's images API, Limner's own, the web pages) and gRPC."""
    if (faults or seed is not None) and not simulate:
        raise typer.BadParameter("--faults and --seed go with --simulate")
    from limner.cli.serve import serve as run

    run(host=host, port=port, grpc_port=grpc_port, simulated=(faults, seed) if simulate else None)


def grpc(
    host: Annotated[
        str | None,
        typer.Option("--host", help="Address to listen at. (default: the setting `grpc_host`, else `host`)"),
    ] = None,
    port: Annotated[
        int | None, whole("--port", text="Port to listen at. (default: the setting `grpc_port`)")
    ] = None,
    *,
    model_dir: Annotated[
        Path | None, typer.Option("--model-dir", "--model_dir", help="Accepted; changes nothing.")
    ] = None,
    max_models: Annotated[
        int | None, whole("--max-models", "--max_models", text="Accepted; changes nothing.")
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


def simulate(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, whole("--port", text="Port to listen at.")] = 8091,
    seed: Annotated[int | None, whole("--seed", text="What is drawn by lot: faults, ids.")] = None,
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


def lab(
    *,
    scenario: Annotated[
        str, typer.Option("--scenario", metavar="NAME", help="havoc, week, matrix, all-up, budget, ...")
    ] = "havoc",
    jobs: Annotated[int, whole("--jobs", text="How many to order.")] = 200,
    kills: Annotated[int, whole("--kills", text="With havoc: how many processes to kill.")] = 40,
    seed: Annotated[int, whole("--seed", text="The same seed orders, breaks and kills the same.")] = 1,
    database: Annotated[
        str, typer.Option("--database", help="sqlite: one server. postgres: two, and two workers.")
    ] = "sqlite",
    as_json: Json = False,
) -> int:
    """Try Limner's promises on real processes and simulated vendors: kills, faults, full disks; exit 1 when
    one is broken."""
    from limner.cli.lab import run

    return run(scenario=scenario, jobs=jobs, kills=kills, seed=seed, database=database, as_json=as_json)


def worker() -> None:
    """Run jobs without a door until stopped."""
    from limner.cli.serve import worker as run

    run()


def mcp(debug: Debug = False) -> None:
    """Offer Limner's tools to a language model's program over stdin and stdout (Model Context Protocol)."""
    from limner.cli.protocol import check_mcp

    check_mcp()
    from limner.cli.mcp import mcp as run

    run(debug=debug)


def chat(
    *,
    port: Annotated[int, whole("--port", text="Port to listen at, on this machine only.")] = 8000,
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
    debug: Debug = False,
) -> None:
    """Open the chat window, which draws and talks. Needs `pip install 'limner[chainlit]'`."""
    from limner.cli.chat import chat as run

    run(port=port, headless=headless, debug=debug)


def engine(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, whole("--port", text="Port to listen at.")] = 50053,
    threads: Annotated[
        int | None, whole("--threads", text="Processor threads for one step. (default: one per processor)")
    ] = None,
) -> int:
    """Run the local engine alone, for Limners elsewhere that name it as `engine_url`."""
    from limner.cli.serve import engine as run

    return run(host, port, threads)
