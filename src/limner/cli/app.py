"""The program: its commands in the order in which help lists them."""

import typer

from limner.cli import command_books as books
from limner.cli import command_pictures as pictures
from limner.cli import command_servers as servers

app = typer.Typer(
    name="limner",
    help="Draws pictures from words, on this machine or at a vendor: `limner generate 'a red fox'`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    pictures.generate,
    servers.serve,
    servers.grpc,
    servers.simulate,
    servers.lab,
    servers.worker,
    servers.mcp,
    servers.chat,
    servers.engine,
    books.models,
    books.providers,
    books.jobs,
    books.usage,
    pictures.prompt,
    pictures.styles,
    books.audit,
    books.reconcile,
    pictures.inspect,
    pictures.replay,
    books.config,
    books.version,
):
    app.command()(command)
