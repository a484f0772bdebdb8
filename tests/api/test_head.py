import socket
import threading
from contextlib import closing

import pytest
import uvicorn

from limner.api.head import MAX_HEAD, BoundedHead
from limner.cli.listening import listen


@pytest.fixture
def place(house):
    """Where the doors answer behind bounded heads."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(house[1], log_config=None, ws="none", http=BoundedHead))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


def answers(wire: socket.socket) -> bytes:
    return b"".join(iter(lambda: wire.recv(65_536), b""))


def said(place, *sent: bytes) -> bytes:
    with closing(socket.create_connection(place, timeout=20)) as wire:
        for one in sent:
            wire.sendall(one)
        return answers(wire)


GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def test_a_usual_head_is_served_as_often_as_it_comes(place):
    told = said(place, GET + b"\r\n" + GET + b"Connection: close\r\n\r\n")
    assert told.count(b"HTTP/1.1 200 OK") == 2


def test_a_head_up_to_the_limit_is_served(place):
    head = GET + b"Connection: close\r\nX-Fox: " + b"x" * (MAX_HEAD - 500) + b"\r\n\r\n"
    assert said(place, head).startswith(b"HTTP/1.1 200 OK")


def test_a_head_above_it_is_431_in_the_doors_shape(place):
    told = said(place, GET + b"Connection: close\r\nX-Fox: " + b"x" * MAX_HEAD + b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 431 ")
    assert b'"code":"head_too_large"' in told


@pytest.mark.parametrize("begun", [b"GET /", GET + b"X-Fox: ", GET])
def test_a_head_without_end_is_hung_up_on(place, begun):
    with closing(socket.create_connection(place, timeout=20)) as wire:
        wire.sendall(begun)
        endless = b"X-Fox: fox\r\n" * (4 << 20)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            wire.sendall(endless)


def test_a_long_body_is_no_long_head(place):
    body = b'{"prompt": "' + b"x" * (MAX_HEAD * 2) + b'"}'
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    assert said(place, head % len(body), body).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("begun", [b"", b"G", GET])
def test_a_head_that_does_not_come_is_given_up(place, monkeypatch, begun):
    monkeypatch.setattr("limner.api.head.HEAD_S", 0.05)
    assert said(place, begun) == b""
