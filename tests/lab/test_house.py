"""Where the processes of a run live."""

import socket

from limner.lab.house import free_port


def test_a_free_port_is_free_and_is_given_to_no_connection():
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert 15_000 <= port < 32_000
