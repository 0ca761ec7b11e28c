"""Addresses that servers may listen on."""

import socket

import pytest

from deploy.throwaway import free_port
from sslwear.deployment.serving.server import check_address
from sslwear.errors import SslwearError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_this_machine_needs_no_permission(host: str) -> None:
    assert check_address(host, free_port(), False, "read it") is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_access_from_other_machines_needs_permission_and_gives_a_warning(host: str) -> None:
    with pytest.raises(
        SslwearError, match=f"--host {host} lets everybody .* read it, without a password. Add --expose"
    ):
        check_address(host, free_port(), False, "read it")
    if host == "0.0.0.0":
        warning = check_address(host, free_port(), True, "read it")
        assert warning is not None
        assert "can read it, without a password" in warning


def test_a_port_in_use_and_an_unknown_address_are_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SslwearError, match=f"127.0.0.1:{port} is not available .* --port {port + 1}"):
            check_address("127.0.0.1", port, False, "")
    with pytest.raises(SslwearError, match=r"there is no such address|is not available"):
        check_address("no.such.host.invalid", 5000, True, "read it")
