"""What people ask for: pictures, and what is in them. Each imports what it needs when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from limner.cli import options
from limner.cli.common import Debug, File, Json, Out, whole

if TYPE_CHECKING:
    from limner.core.request import Format


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
    width: Annotated[int | None, whole("--width", text="Pixels; goes with --height.")] = None,
    height: Annotated[int | None, whole("--height", text="Pixels; goes with --width.")] = None,
    steps: Annotated[int | None, whole("--steps", text="Denoising steps: more is slower and finer.")] = None,
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
    seed: Annotated[int | None, whole("--seed", text="The same seed gives the same picture.")] = None,
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
    n: Annotated[int, whole("--n", "-n", text="How many pictures, 1 to 10.")] = 1,
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
        int | None, whole("--compression", text="JPEG and WebP: 100 keeps most detail.")
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
        int | None, whole("--port", text="Ask the gRPC server at this port. (default: 50051, with --host)")
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


def prompt(
    text: Annotated[str, typer.Argument(metavar="PROMPT", help="The prompt to look at.")],
    as_json: Json = False,
) -> None:
    """Say what a prompt says about itself: its length, its terms, two scores. Nobody is asked."""
    from limner.cli.prompts import prompt as run

    run(text, as_json=as_json)


def styles(as_json: Json = False) -> None:
    """List Limner's own styles, for `prompting.style_preset`."""
    from limner.cli.prompts import styles as run

    run(as_json=as_json)


def inspect(file: File, as_json: Json = False) -> None:
    """Show what a picture says about how it was made."""
    from limner.cli.replay import inspect as run

    run(file, as_json=as_json)


def replay(file: File, out: Out = None, as_json: Json = False, debug: Debug = False) -> int:
    """Make a picture again from the recipe in it; exit 0 when the bytes are equal, 1 when they differ."""
    from limner.cli.replay import replay as run

    return run(file, out=out, as_json=as_json, debug=debug)
