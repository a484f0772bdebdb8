"""The folder that Chainlit reads: its settings, colours and marks. Made anew at each start, so that an older
version's leftovers change nothing."""

import json
from pathlib import Path

CONFIG = """\
[project]
session_timeout = 3600
cache = false
allow_origins = []

[features]
unsafe_allow_html = false
latex = false
user_message_markdown = false
edit_message = false

[features.spontaneous_file_upload]
enabled = false

[features.mcp]
enabled = false

[UI]
name = "Limner"
description = "Say what to draw."
cot = "hidden"
default_theme = "light"
confirm_new_chat = true
custom_css = "/public/limner.css"

[meta]
generated_by = "2.12.0"
"""
WELCOME = """\
# Limner

Say what to draw, or type `/image <description>`. `/help` lists the commands; the settings are beside the
input.

What is free is drawn at once. What costs money shows its price first, and what costs more than your limit is
bought only when you press its button.
"""
_MARK = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 48" role="img" aria-label="Limner">
<path d="M8 40c6-1 9-4 10-9 1-4-1-7-4-7-6 0-4 9-9 12 1 2 2 3 3 4z" fill="{brush}"/>
<path d="M18 24 34 6c2-2 5 1 3 3L21 27z" fill="{stick}"/>
<text x="46" y="34" font-family="ui-sans-serif, system-ui, sans-serif" font-size="28" font-weight="600"
 fill="{stick}">Limner</text></svg>
"""
_ICON = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48">
<path d="M8 40c6-1 9-4 10-9 1-4-1-7-4-7-6 0-4 9-9 12 1 2 2 3 3 4z" fill="#d9632a"/>
<path d="M18 24 34 6c2-2 5 1 3 3L21 27z" fill="#8a8178"/></svg>
"""
_THEME = {
    "custom_fonts": [],  # the usual ones come from elsewhere, which would tell who draws here
    "variables": {
        "light": {"--primary": "18 70% 42%", "--ring": "18 70% 42%"},
        "dark": {"--primary": "20 80% 60%", "--primary-foreground": "0 0% 8%", "--ring": "20 80% 60%"},
    },
}
CSS = """\
body { font-family: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.dark { color-scheme: dark; }
.watermark { display: none !important; }
.flex-wrap > button[id].h-9.px-3 {
  border: 1px solid hsl(var(--border)); color: hsl(var(--foreground)); margin: 0 .375rem .375rem 0;
  height: auto; min-height: 2.25rem; white-space: normal; text-align: left;
}
"""


def furnish(root: Path) -> None:
    """Write all of it below `root`."""
    (root / ".chainlit").mkdir(parents=True)
    (root / "public").mkdir()
    for name, text in {
        ".chainlit/config.toml": CONFIG,
        "chainlit.md": WELCOME,
        "public/theme.json": json.dumps(_THEME),
        "public/limner.css": CSS,
        "public/logo_light.svg": _MARK.format(brush="#b5522a", stick="#2b2621"),
        "public/logo_dark.svg": _MARK.format(brush="#e8793c", stick="#f2ede7"),
        "public/favicon.svg": _ICON,
    }.items():
        (root / name).write_text(text, encoding="utf-8")
