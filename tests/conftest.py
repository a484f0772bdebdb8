"""What every test gets: no network beyond this machine, and no settings of whoever runs it."""

import os
import socket

import pytest

_LOCAL = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """A test that reaches for another machine fails there and then, with the address it wanted."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def checked(real):
        def guarded(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(_LOCAL):
                pytest.fail(f"a test may not reach {address}")
            return real(self, address)

        return guarded

    monkeypatch.setattr(socket.socket, "connect", checked(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", checked(connect_ex))


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in [name for name in os.environ if name.startswith("LIMNER_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path):
    """A folder of its own for one Limner."""
    return tmp_path / "home"


@pytest.fixture
def swift(monkeypatch):
    """Waits between tries are as long as a test's patience."""
    monkeypatch.setattr("limner.jobs.run.wait_s", lambda tries, jitter, asked_s=None: 0.01)
    monkeypatch.setattr("limner.jobs.drive._FAULT_WAIT_S", 0.001)
    monkeypatch.setattr("limner.jobs.drive._LONGEST_FAULT_WAIT_S", 0.01)
    monkeypatch.setattr("limner.jobs.steady._FIRST_WAIT_S", 0.005)
    monkeypatch.setattr("limner.jobs.steady._LONGEST_WAIT_S", 0.02)


def pytest_configure(config):
    config.addinivalue_line("markers", "crash: real processes, killed; about a minute")
