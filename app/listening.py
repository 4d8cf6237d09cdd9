"""The addresses on which the site can listen."""

import socket

LOOPBACK = "127.0.0.1"


def all_addresses() -> str:
    """IPv6 too, where this machine has it."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - a proxy is in front


def listen(address: str, port: int) -> socket.socket:
    """A listening socket like granian's: `::` takes IPv4 too. Raises OSError."""
    if ":" not in address:
        return socket.create_server((address, port))
    is_both = address == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((address, port), family=socket.AF_INET6, dualstack_ipv6=is_both)


def reachable_at(address: str) -> str:
    """An address of this machine at which a site that listens on `address` answers, for a URL."""
    if address in {"0.0.0.0", "::"}:  # noqa: S104
        return LOOPBACK
    return f"[{address}]" if ":" in address else address
