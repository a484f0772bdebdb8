"""Ports: taken before anything else starts, and said as people write them."""

import errno
import os
import socket

from limner.core.errors import SetupError


def authority(host: str, port: int) -> str:
    """`host:port` as a browser on this machine may open it."""
    bare = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104 - compared
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Take the port before anything else starts. Raises SetupError that names it and the way out."""
    bare = host.strip("[]")
    try:
        family = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0][0]
        # Named as TCP, so that asyncio's own loop, too, sends short answers without waiting for more.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((bare, port))
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except socket.gaierror:
        raise SetupError(
            f"host {host!r} is no address of this machine; --host 127.0.0.1 is the usual one"
        ) from None
    except OSError as error:
        raise SetupError(no_port(error, host, port, option)) from None
    listener.set_inheritable(False)
    return listener


def no_port(error: OSError, host: str, port: int, option: str = "--port") -> str:
    """Why a port cannot be had, and the way out."""
    match error.errno:
        case errno.EADDRINUSE:
            other = f"{option} {port % 65535 + 1}"
            return f"port {port} at {host} is in use by another program; choose another, as in {other}"
        case errno.EACCES:
            return f"port {port} at {host} may not be taken by this user; choose one above 1023 with {option}"
        case errno.EADDRNOTAVAIL:
            return f"host {host!r} is no address of this machine; --host 127.0.0.1 is the usual one"
        case _:
            return f"port {port} at {host} cannot be taken: {error.strerror or os.strerror(error.errno or 0)}"
