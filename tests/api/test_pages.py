import re
from html.parser import HTMLParser

import httpx

from limner.api.app import create_app

_VOID = {"meta", "img", "br", "link"}


class Outline(HTMLParser):
    """Whether every tag is closed in order, and what the page points at."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.targets: list[str] = []
        self.scripts = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script" or any(name.startswith("on") for name, _ in attrs)
        self.targets += [value for name, value in attrs if name in ("href", "src")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


async def test_the_front_page_links_to_what_is_there_and_to_nothing_elsewhere(http):
    await http.post("/v1/jobs", json={"prompt": "a red fox"})
    answer = await http.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Outline(answer.text)
    assert (page.open, page.scripts) == ([], 0)
    assert page.targets == [
        "/docs",
        "/openapi.json",
        "/v1/models",
        "/v1/jobs",
        "/readyz",
        "/v1/images/image-0001-0/file",
        "/v1/images/image-0001-0/thumbnail?side=256",
    ]
    assert [(await http.get(target)).status_code for target in page.targets] == [200] * 7


async def test_a_prompt_cannot_write_html_into_the_front_page(http):
    await http.post("/v1/jobs", json={"prompt": "\"><script>alert('x')</script>"})
    page = Outline((await http.get("/")).text)
    assert (page.open, page.scripts) == ([], 0)


async def test_a_page_without_pictures_says_so(http):
    assert "None yet." in (await http.get("/")).text


async def test_the_example_uses_the_address_clients_use(limner):
    transport = httpx.ASGITransport(create_app(limner, public_url="https://draw.example/"))
    async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
        page = (await client.get("/")).text
    assert "curl -s https://draw.example/v1/jobs" in page
    assert "https://draw.example/v1</code>" in page


async def test_the_reference_describes_every_endpoint_and_needs_no_network(http):
    answer = await http.get("/docs")
    page = Outline(answer.text)
    assert (page.open, page.scripts, page.targets) == ([], 0, ["/", "/openapi.json"])
    document = (await http.get("/openapi.json")).json()
    described = re.findall(r'<span class="way">([A-Z]+)</span> <code>([^<]+)</code>', answer.text)
    assert sorted(described) == sorted(
        (way.upper(), path) for path, operations in document["paths"].items() for way in operations
    )
