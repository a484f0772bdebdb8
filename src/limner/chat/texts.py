"""What people read in a chat. Markdown. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from limner.chat.commands import COMMANDS, ORDER, PRESETS, Taste, shown
from limner.chat.events import Drawing
from limner.core.job import Job
from limner.core.money import show
from limner.core.quote import Note

CHECKS: Mapping[str, str] = {
    "ollama_local": "is Ollama running at port 11434, with a model that draws?",
    "groq": "check GROQ_API_KEY; Groq serves no model that draws at present",
    "huggingface": "check HUGGINGFACE_API_KEY",
    "openai": "check OPENAI_API_KEY",
}
"""What to look at when a provider does not draw."""
_LONGEST = 300


def image_help(providers: Iterable[str]) -> str:
    """`/image` without a description."""
    others = [name for name in providers if name not in ORDER]
    listed = "\n".join(f"- {name}" for name in (*ORDER, *others))
    return (
        "## Image Generation\n\nUsage: `/image <description>` or `/img <description>`\n\n"
        f"Providers, in the order they are asked:\n{listed}\n\n"
        "Example: `/image A serene farm landscape at sunrise`"
    )


def help_text() -> str:
    """`/help`."""
    lines = "\n".join(f"- `{one.usage}`: {one.about}" for _, one in sorted(COMMANDS.items()))
    return f"## Commands\n\n{lines}"


def not_found(name: str) -> str:
    """A command that there is not."""
    return f"Command not found: `/{plain(name, 40)}`. `/help` lists the commands."


def settings_text(taste: Taste) -> str:
    """How things are set."""
    preset = PRESETS[taste.quality]
    return (
        "## Settings\n\n"
        f"- quality: {taste.quality} ({preset.side}x{preset.side}, {preset.steps} steps, "
        f"guidance {preset.guidance:g})\n"
        f"- provider: {taste.provider or 'auto'}\n"
        f"- pictures: {'on' if taste.pictures else 'off'}\n"
        f"- prompt enhancement: {'on' if taste.enhance else 'off'}\n"
        f"- limit: {show(taste.limit_usd)} a picture; what costs more asks first"
    )


def drawing(now: Drawing) -> str:
    """Who is asked now, and for what."""
    lines = ["**Generating image**", "", plain(now.description, 1_000), ""]
    price = "" if now.price_usd is None else f", {show(now.price_usd)}"
    part = "" if now.fraction is None else f", {now.fraction:.0%}"
    return "\n".join((*lines, f"*Provider: {now.provider}{price}{part}*"))


def above(limit: Decimal) -> str:
    """What costs more than was allowed unasked."""
    return (
        f"Nobody draws it for {show(limit)} or less, which is your limit for a picture unasked. "
        "Nothing is bought before you press a button."
    )


def done(description: str, job: Job) -> str:
    """A picture and all that was done otherwise than asked."""
    image = job.images[0]
    lines = [f"**Image Generated via {shown(image.provider)}**", "", plain(description, 1_000)]
    cost = "" if not job.receipt.cost_usd else f", {show(job.receipt.cost_usd)}"
    lines += ["", f"*{image.model}, {image.width}x{image.height}{cost}*"]
    if job.request.prompt != description:
        lines.append(f"*Drawn as: {plain(job.request.prompt, 1_000)}*")
    lines += [f"*{', '.join(fields)}: {said}*" for said, fields in _alike(job.receipt.notes).items()]
    return "\n".join(lines)


def _alike(notes: Iterable[Note]) -> dict[str, list[str]]:
    """What was bent, each thing once, with the fields it is said of."""
    found: dict[str, list[str]] = {}
    for note in notes:
        found.setdefault(plain(note.message, 200), []).append(note.field)
    return found


def failed(reasons: Mapping[str, str]) -> str:
    """Nobody drew it: one line per provider. `reasons` are by the names of the commands."""
    names = [*ORDER, *(name for name in reasons if name not in ORDER)]
    lines = [_line(name, reasons.get(name)) for name in names]
    return "**Image generation failed**\n\n" + "\n".join(lines)


def _line(name: str, reason: str | None) -> str:
    check = CHECKS.get(name, "see the setting of its key or address")
    return f"- {name}: {check}" + (f" ({plain(reason, _LONGEST)})" if reason else "")


def plain(text: str, longest: int) -> str:
    """On one line, without what would end a piece of code, and not too long."""
    line = " ".join(text.replace("`", "'").split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
