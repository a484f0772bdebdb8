"""Pictures named by address: only public hosts are ever asked, whatever the address looks like."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.hostile.house import clean, named

PRIVATE = (
    "http://127.0.0.1/fox.png",
    "http://127.0.0.1:{port}/fox.png",
    "http://127.1/fox.png",
    "http://127.0.1/fox.png",
    "http://0/fox.png",
    "http://0.0.0.0:{port}/fox.png",
    "http://0x7f000001/fox.png",
    "http://0x7f.0.0.1/fox.png",
    "http://2130706433/fox.png",
    "http://017700000001/fox.png",
    "http://0177.0.0.1/fox.png",
    "http://127.0.0.1.:{port}/fox.png",
    "http://\uff11\uff12\uff17.0.0.1/fox.png",
    "http://127\u30020\u30020\u30021/fox.png",
    "http://\u2460\u2461\u2466.0.0.1/fox.png",
    "http://localhost/fox.png",
    "http://localhost:{port}/fox.png",
    "http://LOCALHOST./fox.png",
    "http://fox.localhost/fox.png",
    "http://l\u2134calhost/fox.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/fox.png",
    "http://[::1]:{port}/fox.png",
    "http://[::]/fox.png",
    "http://[0:0:0:0:0:0:0:1]/fox.png",
    "http://[::ffff:127.0.0.1]/fox.png",
    "http://[::ffff:7f00:1]/fox.png",
    "http://[::ffff:a9fe:a9fe]/fox.png",
    "http://[64:ff9b::7f00:1]/fox.png",
    "http://[2002:7f00:1::]/fox.png",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://10.0.0.1/fox.png",
    "http://172.16.0.1/fox.png",
    "http://192.168.0.1/fox.png",
    "http://100.64.0.1/fox.png",
    "http://198.18.0.1/fox.png",
    "http://224.0.0.1/fox.png",
    "http://255.255.255.255/fox.png",
    "http://loopback.example/fox.png",
    "http://metadata.example/fox.png",
    "http://mapped.example/fox.png",
    "http://nobody.example/fox.png",
)
NOT_HTTP = (
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "FILE:/etc/passwd",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "ftp://127.0.0.1/fox.png",
    "dict://127.0.0.1:{port}/info",
    "ldap://127.0.0.1/",
    "ws://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "jar:http://127.0.0.1/fox.zip!/fox.png",
    "javascript:alert(1)",
    "//127.0.0.1:{port}/fox.png",
    "/etc/passwd",
    "../../etc/passwd",
    "fox.png",
    "http:127.0.0.1/fox.png",
    "http:///fox.png",
    "http://",
    " http://127.0.0.1:{port}/fox.png",
    "http://127.0.0.1:99999/fox.png",
    "http://[::1/fox.png",
    "http://127.0.0.1:{port}\\@1.1.1.1/fox.png",
    "http://1.1.1.1@127.0.0.1:{port}/fox.png",
    "http://user:secret@1.1.1.1/fox.png",
    "http://127.0.0.1:{port}#@1.1.1.1/",
    "http://127.0.0.1:{port}/\r\nHost: 1.1.1.1\r\n\r\n",
    "http://1.1.1.1\x00.example/fox.png",
    "data:text/html;base64,PHNjcmlwdD4=",
    "data:image/svg+xml,<svg onload=alert(1)>",
    "data:image/png;base64,not base64",
    "data:image/png;base64,",
    "data:image/png,",
    "data:,",
    "http://" + "a" * 3_000 + ".example/",
    "",
)


@pytest.fixture
def trap() -> Iterator[tuple[int, list[bytes]]]:
    """A port on loopback where nothing may ever call, and what was said there."""
    heard: list[bytes] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=_answer, args=(listening, heard, b""))
        thread.start()
        yield listening.getsockname()[1], heard
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def _answer(listening: socket.socket, heard: list[bytes], location: bytes) -> None:
    """Lead every caller on to `location`."""
    while True:
        try:
            wire, _ = listening.accept()
        except OSError:
            return
        with wire:
            heard.append(wire.recv(4_096))
            head = b"HTTP/1.1 302 Found\r\nLocation: " + location
            wire.sendall(head + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def edit(house, url: str):
    body = {"prompt": "a red fox", "images": [{"image_url": url}]}
    text = json.dumps(body).encode()
    return house.web.post("/v1/images/edits", content=text, headers={"content-type": "application/json"})


def test_a_private_address_is_never_asked_however_it_is_written(house, trap):
    port, heard = trap
    places = {"loopback.example": "127.0.0.1", "metadata.example": "169.254.169.254"}
    house.net.names = places | {"mapped.example": "::ffff:127.0.0.1"}
    for url in PRIVATE:
        with named(url):
            clean(edit(house, url.format(port=port)), 400)
    assert heard == []


def test_what_is_no_web_address_is_never_asked(house, trap):
    port, heard = trap
    for url in NOT_HTTP:
        with named(url):
            clean(edit(house, url.replace("{port}", str(port))), 400)
    assert heard == []


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/fox.png",
        "http://[::1]:{port}/fox.png",
        "http://localhost:{port}/fox.png",
        "http://loopback.example:{port}/fox.png",
        "//127.0.0.1:{port}/fox.png",
        "http://0x7f000001:{port}/fox.png",
        "http://me:secret@127.0.0.1:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/_x",
        "http://169.254.169.254/latest/meta-data/",
        "",
        "http://pictures.example/again",
    ],
)
def test_a_public_host_that_leads_to_a_private_one_is_followed_no_further(running, trap, location):
    port, heard = trap
    led: list[bytes] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        to = location.format(port=port).encode()
        thread = threading.Thread(target=_answer, args=(listening, led, to))
        thread.start()
        before = running.left()
        running.net.asked.clear()
        running.net.names = {"pictures.example": "1.1.1.1", "loopback.example": "127.0.0.1"}
        running.net.leads = {"1.1.1.1": listening.getsockname()[1]}
        clean(edit(running, "http://pictures.example/fox.png"), 400)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert heard == []
    assert set(running.net.asked) == {"1.1.1.1:80"}
    assert (
        len(led) == len(running.net.asked) == (4 if location in ("", "http://pictures.example/again") else 1)
    )
    assert running.left() == before
