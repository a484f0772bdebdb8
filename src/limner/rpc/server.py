"""The gRPC server: the image service, health and reflection on one port of this process."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from limner.app import Limner
from limner.core.errors import SetupError
from limner.rpc.gate import Gate
from limner.rpc.service import NAME, ImageGeneration

MAX_MESSAGE_BYTES = 100 << 20
HEALTHY = ("", "starweave.ImageGeneration", NAME)
"""The names health is asked for; existing clients ask for the short one."""
_BESIDE = 100
"""Calls to health and reflection that may be open besides the image calls."""
_GRACE_S = 3.0
_LAST_S = 0.5
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # two servers at one port would each get some of the calls
)


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate with its chain, and its key; PEM."""

    certificate: bytes
    key: bytes


class RpcServer:
    """Takes its port at once; answers from entering to leaving. `port` 0 is any that is free.

    Raises `SetupError` for a port it cannot have. Make it within the event loop that runs it.
    """

    def __init__(self, limner: Limner, host: str, port: int, *, places: int, tls: Tls | None = None) -> None:
        self._gate = Gate(limner.who, places)
        self._server = grpc.aio.server(
            interceptors=[self._gate], options=_OPTIONS, maximum_concurrent_rpcs=places + _BESIDE
        )
        self._health = health.aio.HealthServicer()
        self._server.add_generic_rpc_handlers((ImageGeneration(limner, self._gate).handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self.port = self._bind(_place(host, port), tls)
        self._stopped = False

    def _bind(self, place: str, tls: Tls | None) -> int:
        try:
            if tls is None:
                return self._server.add_insecure_port(place)
            return self._server.add_secure_port(
                place, grpc.ssl_server_credentials([(tls.key, tls.certificate)])
            )
        except RuntimeError as error:
            raise SetupError(f"gRPC cannot listen at {place}: {error}") from error

    async def __aenter__(self) -> Self:
        await self._server.start()
        await self._say(health_pb2.HealthCheckResponse.SERVING)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Say NOT_SERVING, let calls end for some seconds, and close the port."""
        if self._stopped:
            return
        self._stopped = True
        await self._health.enter_graceful_shutdown()
        await self._gate.close(_GRACE_S)
        await self._server.stop(_LAST_S)  # what was answered just now is still on its way

    async def _say(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in HEALTHY:
            await self._health.set(name, status)


def _place(host: str, port: int) -> str:
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def read_tls(certificate: Path | None, key: Path | None) -> Tls | None:
    """The two files, None when neither is named. Raises `SetupError` that names what is wrong with them."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SetupError("grpc_cert and grpc_key go together: name both files, or neither")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        return Tls(certificate.read_bytes(), key.read_bytes())
    except ssl.SSLError:
        raise SetupError(
            f"{certificate} and {key} are not a PEM certificate and the key that belongs to it"
        ) from None
    except OSError as error:
        raise SetupError(f"{error.filename or certificate} cannot be read: {error.strerror}") from None
