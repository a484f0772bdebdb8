"""Two plain pages for people: what runs here, and the reference. No script, nothing from elsewhere."""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from limner.api.errors import cut
from limner.api.reference import get
from limner.app import Limner
from limner.core.job import Artifact

RECENT = 12
"""Pictures on the front page."""

_STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d1d1f; --dim: #5f6368; --page: #fbfaf8; --card: #fff; --line: #d9d6d0; --link: #0b57a4;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --dim: #a5a5a5; --page: #161618; --card: #1f1f22; --line: #3a3a3e; }
  :root { --link: #8ab8f0; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem;
  font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--page);
}
a { color: var(--link); }
h1 { margin: 0 0 .5rem; }
h2 { margin: 2.2rem 0 .6rem; }
p { max-width: 44rem; }
small, .dim { color: var(--dim); }
code, pre { font: .9em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre, details { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
pre { overflow-x: auto; padding: .8rem 1rem; }
details { margin: .4rem 0; padding: .5rem .9rem; }
summary { cursor: pointer; }
.way { display: inline-block; min-width: 3.6rem; font-weight: 600; }
.grid { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.grid { padding: 0; list-style: none; }
.grid img { display: block; width: 100%; height: auto; aspect-ratio: 1; object-fit: cover; }
.grid img { border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
caption { text-align: left; }
th, td { text-align: left; vertical-align: top; padding: .25rem .7rem .25rem 0; }
td { border-top: 1px solid var(--line); }
"""
_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_EXAMPLE = """curl -s {base}/v1/jobs -H 'content-type: application/json' \\
  -d '{{"prompt": "a red fox in the snow, watercolor"}}'"""


class Pages:
    """The door. `describe` gives the OpenAPI document."""

    def __init__(
        self, limner: Limner, *, version: str, public_url: str, describe: Callable[[], dict[str, Any]]
    ) -> None:
        self._limner = limner
        self._version = version
        self._public_url = public_url.rstrip("/")
        self._describe = describe
        self._reference: str | None = None

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        get(app, "/", self.home, include_in_schema=False)
        get(app, "/docs", self.docs, include_in_schema=False)

    async def home(self, request: Request) -> Response:
        """What runs here, with the newest pictures."""
        jobs = await self._limner.jobs(state="succeeded", limit=RECENT)
        pictures = [image for job in jobs for image in job.images][:RECENT]
        base = self._public_url or str(request.base_url).rstrip("/")
        return _page("Limner", _home(pictures, version=self._version, base=base))

    async def docs(self) -> Response:
        """The reference, drawn once from the OpenAPI document."""
        if self._reference is None:
            self._reference = _docs(self._describe())
        return _page("Limner: HTTP reference", self._reference)


def _page(title: str, body: str) -> Response:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    return Response(text, 200, _HEADERS, "text/html; charset=utf-8")


def _home(pictures: Iterable[Artifact], *, version: str, base: str) -> str:
    recent = "".join(_thumbnail(picture) for picture in pictures)
    shown = f'<ul class="grid">{recent}</ul>' if recent else '<p class="dim">None yet.</p>'
    return (
        "<h1>Limner</h1>"
        f"<p>Draws pictures from text. This is its HTTP service, version {escape(version)}.</p>"
        '<p><a href="/docs">Reference</a> · <a href="/openapi.json">OpenAPI document</a> · '
        '<a href="/v1/models">Models</a> · <a href="/v1/jobs">Jobs</a> · <a href="/readyz">Ready?</a></p>'
        f"<h2>Order a picture</h2><pre>{escape(_EXAMPLE.format(base=base))}</pre>"
        "<p>Programs written for OpenAI's images API work unchanged with the base address "
        f"<code>{escape(base)}/v1</code>.</p><h2>Recent pictures</h2>{shown}"
    )


def _thumbnail(picture: Artifact) -> str:
    words = escape(cut(picture.recipe.prompt), quote=True)
    source = escape(f"/v1/images/{picture.id}/thumbnail?side=256", quote=True)
    target = escape(f"/v1/images/{picture.id}/file", quote=True)
    return (
        f'<li><a href="{target}" title="{words}"><img src="{source}" alt="{words}" loading="lazy" '
        f'width="{picture.width}" height="{picture.height}"></a></li>'
    )


def _docs(document: Mapping[str, Any]) -> str:
    schemas = document["components"]["schemas"]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for way, operation in operations.items():
            tag = operation.get("tags", ["Other"])[0]
            by_tag.setdefault(tag, []).append(_operation(way, path, operation, schemas))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in by_tag.items())
    return (
        f"<h1>HTTP reference</h1><p>{escape(document['info'].get('description', ''))}</p>"
        f'<p><a href="/">Home</a> · <a href="/openapi.json">OpenAPI document</a></p>{sections}'
    )


def _operation(way: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    parts = [f"<p>{escape(operation.get('description', ''))}</p>"]
    parameters = [
        (f"{p['name']} <small>({p['in']})</small>", _type(p["schema"]), p.get("description", ""))
        for p in operation.get("parameters", ())
    ]
    if parameters:
        parts.append(_table("Parameters", parameters))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        parts.append(_table("Body", _fields(schemas[_named(body)], schemas)))
    answers = [
        (status, ", ".join(_kind(*item) for item in answer.get("content", {}).items()), answer["description"])
        for status, answer in sorted(operation["responses"].items())
    ]
    parts.append(_table("Answers", answers))
    head = f'<span class="way">{way.upper()}</span> <code>{escape(path)}</code>'
    words = f"<small>{escape(operation.get('summary', ''))}</small>"
    return f"<details><summary>{head} {words}</summary>{''.join(parts)}</details>"


def _table(title: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """Rows of name, type and words; the name may hold markup of ours, never of a caller's."""
    lines = "".join(
        f"<tr><td><code>{name}</code></td><td>{escape(kind)}</td><td>{escape(words)}</td></tr>"
        for name, kind, words in rows
    )
    return f"<table><caption><small>{title}</small></caption>{lines}</table>"


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    required = schema.get("required", ())
    return [
        (name + (" *" if name in required else ""), _type(field), field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]


def _named(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _kind(media: str, content: Mapping[str, Any]) -> str:
    schema = content.get("schema", {})
    return _named(schema) if "$ref" in schema else media


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words: `integer 1..10`, `png, jpeg or webp`."""
    if "$ref" in schema:
        return _named(schema)
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        return " | ".join(str(word) for word in schema["enum"])
    words = str(schema.get("type", "any"))
    if "minimum" in schema and "maximum" in schema:
        words += f" {schema['minimum']}..{schema['maximum']}"
    return words
