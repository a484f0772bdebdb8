"""A vendor's address is somebody else's word: what is asked, with what, and what is made of the answer."""

import asyncio
import base64
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from limner.blobs.fetch import Fetcher
from limner.core.errors import Lost, Malformed, Unavailable
from tests.fakes import png, until

OWN = "127.0.0.1"


class House:
    """A server on this machine: what it was asked, and what it answers by path."""

    def __init__(self):
        self.asked = []
        self.routes = {"/picture": web_picture}
        self.port = 0

    def url(self, path="/picture", host=OWN):
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request):
        self.asked.append(request)
        return await self.routes[request.path](request)


async def web_picture(_request):
    return web.Response(body=png(), content_type="image/png")


def answering(status=200, **response):
    async def answer(_request):
        return web.Response(status=status, **response)

    return answer


@pytest.fixture
async def house():
    house = House()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", house.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, OWN, 0)
    await site.start()
    house.port = site._server.sockets[0].getsockname()[1]
    yield house
    await runner.cleanup()


@pytest.fixture
async def fetcher():
    async with Fetcher() as fetcher:
        yield fetcher


@pytest.fixture
def names(monkeypatch):
    """What names lead to, as the machine's resolver would say."""
    known = {}

    def getaddrinfo(host, port, *_args, **_kwargs):
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = []
        for address in known[host]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            place = (address, port, 0, 0) if family == socket.AF_INET6 else (address, port)
            found.append((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


async def refused(fetcher, url, own_host=None):
    with pytest.raises(Malformed) as caught:
        await fetcher.fetch(url, own_host)
    return str(caught.value)


# -- who is asked ----------------------------------------------------------------------------------------


async def test_the_accounts_own_host_may_be_private_and_gives_its_bytes(house, fetcher):
    assert await fetcher.fetch(house.url(), OWN) == png()


async def test_a_private_host_that_is_not_the_accounts_own_is_not_even_asked(house, fetcher):
    assert await refused(fetcher, house.url()) == "the picture's address 127.0.0.1 is private; not asked"
    assert await refused(fetcher, house.url(), "vendor.example")
    assert house.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.8",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
async def test_a_private_address_is_refused_as_it_stands_and_behind_a_name(fetcher, names, address):
    names["pictures.example"] = ["93.184.216.34", address]
    literal = f"[{address}]" if ":" in address else address
    assert "is private; not asked" in await refused(fetcher, f"http://{literal}/p.png")
    said = await refused(fetcher, "https://pictures.example/p.png")
    assert said == f"the picture's host pictures.example leads to the private address {address}; not asked"


@pytest.mark.parametrize("zone", ["[fe80::1%25eth0]", "[::1%25lo]"])
async def test_a_zone_makes_no_address_public(fetcher, zone):
    assert "is private; not asked" in await refused(fetcher, f"http://{zone}/p.png")


WIDE = "１２７.0.0.1"  # noqa: RUF001 - full-width digits are the point


@pytest.mark.parametrize(
    "host", ["①②⑦.0.0.1", WIDE, "127。0。0。1", "2130706433", "127.1", "0177.0.0.1", "127.0.0.1."]
)
async def test_a_private_address_in_disguise_is_refused(house, fetcher, host):
    await refused(fetcher, house.url(host=host))
    assert house.asked == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "0x7f.1"])
async def test_what_the_resolver_takes_for_this_machine_is_refused(house, fetcher, host):
    assert "leads to the private address" in await refused(fetcher, house.url(host=host))
    assert house.asked == []


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
async def test_a_public_address_is_asked(fetcher, names, monkeypatch, address):
    asked = []

    async def connect(_loop, sock, place):
        asked.append(place[0])
        raise ConnectionRefusedError(111, "not in a test")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
    names["pictures.example"] = [address]
    literal = f"[{address}]" if ":" in address else address
    for host in ("pictures.example", literal):
        with pytest.raises(Unavailable, match="cannot be fetched now: ClientConnectorError"):
            await fetcher.fetch(f"http://{host}/p.png")
    assert asked == [address, address]


async def test_a_name_that_is_not_known_may_be_known_later(fetcher, names):
    assert names == {}
    with pytest.raises(Unavailable, match=r"the picture at gone\.example cannot be fetched now"):
        await fetcher.fetch("https://gone.example/p.png")


async def test_what_one_account_may_ask_another_may_not_however_they_overlap(house, fetcher, names):
    names["mine.local"] = names["theirs.local"] = [OWN]
    both_in = asyncio.Event()

    async def slow(_request):
        await both_in.wait()
        return await web_picture(_request)

    house.routes["/slow"] = slow
    mine = asyncio.ensure_future(fetcher.fetch(house.url("/slow", "mine.local"), "mine.local"))
    await until(lambda: house.asked)
    foreign = [
        refused(fetcher, house.url(host=host), own)
        for host, own in (
            ("theirs.local", "mine.local"),
            ("mine.local", "theirs.local"),
            ("theirs.local", None),
        )
    ]
    said = await asyncio.gather(*foreign)
    both_in.set()
    assert await mine == png()
    assert [one.split(" leads")[0] for one in said] == [
        f"the picture's host {host}" for host in ("theirs.local", "mine.local", "theirs.local")
    ]
    assert len(house.asked) == 1


async def test_a_permission_ends_with_its_fetch(house, fetcher, names):
    names["mine.local"] = names["theirs.local"] = [OWN]
    assert await fetcher.fetch(house.url(host="mine.local"), "mine.local") == png()
    await refused(fetcher, house.url(host="theirs.local"), "mine.local")
    await refused(fetcher, house.url(host="mine.local"))


async def test_a_name_that_leads_elsewhere_the_second_time_is_looked_at_again(house, fetcher, names):
    names["turn.local"] = [OWN]
    await fetcher.fetch(house.url(host="turn.local"), "turn.local")
    names["turn.local"] = ["10.0.0.1"]
    assert "10.0.0.1; not asked" in await refused(fetcher, house.url(host="turn.local"))


# -- what is asked with ----------------------------------------------------------------------------------


async def test_neither_key_nor_cookie_nor_password_leaves(house, fetcher, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine {OWN} login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    house.routes["/bait"] = answering(headers={"Set-Cookie": "a=b"}, body=b"x", content_type="image/png")
    await fetcher.fetch(house.url("/bait"), OWN)
    await fetcher.fetch(house.url(), OWN)
    for request in house.asked:
        assert request.method == "GET"
        assert request.headers["Accept"] == "image/*"
        assert {"Authorization", "Cookie", "Proxy-Authorization"}.isdisjoint(request.headers)


@pytest.mark.parametrize("user", ["me:secret@", "me@", ":secret@"])
async def test_an_address_with_a_password_is_not_asked(house, fetcher, user):
    said = await refused(fetcher, f"http://{user}{OWN}:{house.port}/picture", OWN)
    assert said == "the picture's address at 127.0.0.1 holds a password; not asked"
    assert house.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/picture.png",
        "//127.0.0.1/picture.png",
        "file:///etc/passwd",
        "ftp://127.0.0.1/p.png",
        "gopher://127.0.0.1/p.png",
        "unix:///run/docker.sock",
        "http:///p.png",
        "http://",
        "http://[::1",
        "http://h:99999/",
        "http://vendor.example\\@127.0.0.1/",
        "http://a..b/",
        "javascript:alert(1)",
    ],
)
async def test_what_is_no_web_address_is_malformed(fetcher, url):
    assert "the picture's address" in await refused(fetcher, url, OWN)


async def test_a_fetcher_is_used_as_a_context_manager(house):
    with pytest.raises(RuntimeError, match="context manager"):
        await Fetcher().fetch(house.url(), OWN)
    unused = Fetcher()
    await unused.__aexit__()


# -- redirects -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["/picture", "picture", "../picture", "http://{host}/picture"])
async def test_a_redirect_is_followed_also_a_relative_one(house, fetcher, status, where):
    place = where.format(host=f"{OWN}:{house.port}")
    house.routes["/moved"] = answering(status, headers={"Location": place})
    assert await fetcher.fetch(house.url("/moved"), OWN) == png()


@pytest.mark.parametrize(
    "where",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:{port}/picture",
        "//10.0.0.1/picture",
        "http://localhost:{port}/picture",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "http://[::1",
        "http://a..b/",
        "http://me:secret@{own}:{port}/picture",
    ],
)
async def test_a_redirect_from_the_own_host_to_what_may_not_be_asked_is_refused(house, fetcher, where):
    place = where.format(own=OWN, port=house.port)
    house.routes["/moved"] = answering(302, headers={"Location": place})
    await refused(fetcher, house.url("/moved"), OWN)
    assert [request.path for request in house.asked] == ["/moved"]


@pytest.mark.parametrize("headers", [{"Location": "/loop"}, {}])
async def test_redirects_without_end_or_aim_are_given_up(house, fetcher, headers):
    house.routes["/loop"] = answering(302, headers=headers)
    said = await refused(fetcher, house.url("/loop"), OWN)
    assert said == "the picture's address leads on more than 3 times"
    assert len(house.asked) == 4


async def test_three_redirects_are_not_too_many(house, fetcher):
    for n, following in ((1, "/2"), (2, "/3"), (3, "/picture")):
        house.routes[f"/{n}"] = answering(307, headers={"Location": following})
    assert await fetcher.fetch(house.url("/1"), OWN) == png()


# -- what comes back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, Lost),
        (400, Lost),
        (401, Lost),
        (403, Lost),
        (404, Lost),
        (410, Lost),
        (408, Unavailable),
        (425, Unavailable),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (599, Unavailable),
    ],
)
async def test_a_status_says_whether_to_ask_again(house, fetcher, status, kind):
    house.routes["/picture"] = answering(status)
    with pytest.raises(kind, match=f"127.0.0.1 answered {status} for the picture"):
        await fetcher.fetch(house.url(), OWN)


@pytest.mark.parametrize("mime", ["image/webp", "application/octet-stream", "binary/octet-stream"])
async def test_a_picture_comes_under_several_types(house, fetcher, mime):
    house.routes["/picture"] = answering(body=b"bytes", content_type=mime)
    assert await fetcher.fetch(house.url(), OWN) == b"bytes"


@pytest.mark.parametrize("mime", ["text/html", "application/json", "video/mp4"])
async def test_a_page_is_no_picture(house, fetcher, mime):
    house.routes["/picture"] = answering(body=b"<h1>please log in</h1>", content_type=mime)
    said = await refused(fetcher, house.url(), OWN)
    assert said == f"127.0.0.1 sent '{mime}' where the picture should be"


async def test_a_picture_that_says_it_is_too_long_is_not_read(house):
    house.routes["/picture"] = answering(body=b"x" * 1001, content_type="image/png")
    async with Fetcher(max_bytes=1000) as fetcher:
        said = await refused(fetcher, house.url(), OWN)
        assert said == "the picture at 127.0.0.1 is 1,001 bytes long"
        house.routes["/picture"] = answering(body=b"x" * 1000, content_type="image/png")
        assert len(await fetcher.fetch(house.url(), OWN)) == 1000


async def test_a_stream_that_does_not_end_is_cut_off_at_the_limit(house):
    async def endless(request):
        answer = web.StreamResponse(headers={"Content-Type": "image/png"})
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 400)

    house.routes["/picture"] = endless
    async with Fetcher(max_bytes=1000) as fetcher:
        said = await refused(fetcher, house.url(), OWN)
    assert said == "the picture at 127.0.0.1 is longer than 1,000 bytes"


async def test_a_packed_body_counts_as_long_as_it_is_unpacked(house):
    async def packed(_request):
        answer = web.Response(body=b"x" * 100_000, content_type="image/png")
        answer.enable_compression(web.ContentCoding.gzip)
        return answer

    house.routes["/picture"] = packed
    async with Fetcher(max_bytes=1000) as fetcher:
        await refused(fetcher, house.url(), OWN)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"


@asynccontextmanager
async def raw(answer: bytes):
    """A server that says these bytes to whoever asks, and hangs up."""

    async def say(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(say, OWN, 0)
    async with server:
        yield f"http://{OWN}:{server.sockets[0].getsockname()[1]}/p.png"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        OK + b"Content-Length: 100\r\n\r\n\x89PNG",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        OK + b"Content-Length: -4\r\n\r\n\x89PNG",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        OK + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        OK + b"Set-Cookie: a=b\r\n" * 10_000 + b"\r\n",
    ],
)
async def test_a_broken_answer_may_be_whole_the_next_time(fetcher, answer):
    async with raw(answer) as url:
        with pytest.raises(Unavailable, match=r"the picture at 127\.0\.0\.1 cannot be fetched now"):
            await fetcher.fetch(url, OWN)


async def test_a_host_that_takes_no_connection_is_unavailable(fetcher):
    with socket.socket() as taken:
        taken.bind((OWN, 0))
        with pytest.raises(Unavailable):
            await fetcher.fetch(f"http://{OWN}:{taken.getsockname()[1]}/p.png", OWN)


async def test_a_host_that_says_nothing_is_unavailable_in_time(house, fetcher, monkeypatch):
    monkeypatch.setattr("limner.blobs.fetch._TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    house.routes["/picture"] = lambda _request: asyncio.sleep(3600)
    with pytest.raises(Unavailable, match="TimeoutError"):
        await fetcher.fetch(house.url(), OWN)


# -- pictures inside their address -----------------------------------------------------------------------


async def test_a_picture_inside_its_address_is_unpacked(fetcher):
    inside = base64.b64encode(png()).decode()
    assert await fetcher.fetch(f"data:image/png;base64,{inside}") == png()
    assert await fetcher.fetch("data:image/webp,%52IFF") == b"RIFF"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("data:text/html;base64,AAAA", "'data:text/html;base64' is not a picture's address"),
        ("data:,", "'data:' is not a picture's address"),
        ("data:image/png;base64,not base64!", "the picture inside the address cannot be read: "),
        ("data:image/png;base64,äöü", "the picture inside the address cannot be read: "),
    ],
)
async def test_what_inside_an_address_is_no_picture_is_malformed(fetcher, url, said):
    assert (await refused(fetcher, url)).startswith(said)


async def test_a_picture_inside_its_address_has_the_same_limit():
    async with Fetcher(max_bytes=2) as fetcher:
        assert await fetcher.fetch("data:image/png;base64,AAA=") == b"\0\0"
        said = await refused(fetcher, "data:image/png;base64,AAAA")
    assert said == "the picture inside the address is 3 bytes long"
