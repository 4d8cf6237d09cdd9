"""Who calls: the address of a visitor's machine, and the network that limits count."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Address = IPv4Address | IPv6Address

# A proxy of ours would call from one of these: this machine, private networks, carriers' networks.
_NEAR = [
    ip_network(each)
    for each in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
]
# A proxy adds one of these.
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
# What a subscriber of IPv6 gets at least.
_IPV6_PREFIX = 64
_log = structlog.get_logger("mindsum")


@lru_cache(maxsize=1024)
def parse(text: str) -> Address | None:
    """Of `192.0.2.1`, `192.0.2.1:443`, `[2001:db8::1]:443` and the like; None if it is no address.

    An IPv4 address in IPv6 form is that IPv4 address.
    """
    host = text.strip().strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def network(address: Address) -> str:
    """The IPv4 address, or the /64 of the IPv6 address."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, _IPV6_PREFIX), strict=False))


class Callers:
    """Reads who calls from a WSGI environment behind `trusted` proxies."""

    def __init__(self, trusted: int) -> None:
        self._trusted = trusted
        self._has_warned = False

    def address(self, environ: "WSGIEnvironment") -> Address | None:
        """The machine that called us, or that the outermost trusted proxy saw."""
        peer = parse(environ.get("REMOTE_ADDR", ""))
        if not self._trusted:
            return peer
        # Each proxy appends the address that called it; what is further left was sent by anybody.
        seen = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        named = parse(seen[-self._trusted]) if len(seen) >= self._trusted else None
        return named or peer

    def network(self, environ: "WSGIEnvironment") -> str | None:
        """None where all visitors seem to call from a proxy that TRUSTED_PROXIES does not count."""
        address = self.address(environ)
        if address is None:
            return None
        is_forwarded = any(name in environ for name in _FORWARDED)
        if self._trusted or not is_forwarded or not any(address in each for each in _NEAR):
            return network(address)
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "forwarded_header_ignored", should="TRUSTED_PROXIES should count the proxies"
            )
        return None
