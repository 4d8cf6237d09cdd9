"""Who calls: addresses in every spelling, networks, and what proxies say."""

import pytest
from flask import Flask

from app import config, create_app
from app.web.callers import Callers, network, parse
from tests.harness.every import for_every

SPELLINGS = {
    "192.0.2.1": "192.0.2.1",
    " 192.0.2.1 ": "192.0.2.1",
    "192.0.2.1:50123": "192.0.2.1",
    '"192.0.2.1:50123"': "192.0.2.1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "[::ffff:192.0.2.1]:443": "192.0.2.1",
    "::FFFF:C000:0201": "192.0.2.1",
    "2001:DB8:0:0::1": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "[2001:db8::1]:443": "2001:db8::1",
    '"[2001:db8::1]:443"': "2001:db8::1",
    "fe80::1%eth0": "fe80::1",
    "": None,
    "unknown": None,
    "_hidden": None,
    "192.0.2.1.5": None,
    "010.0.0.1": None,
    "[2001:db8::1": "2001:db8::1",
    "example.org:80": None,
}


@for_every(SPELLINGS.items())
def test_an_address_is_the_same_in_every_spelling(text: str, address: str | None) -> None:
    found = parse(text)
    assert (found and str(found)) == address


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
    ],
)
def test_a_network_is_an_ipv4_address_or_the_64_of_an_ipv6_address(text: str, counted: str) -> None:
    address = parse(text)
    assert address
    assert network(address) == counted


PROXIED = [
    # trusted, peer, X-Forwarded-For, who calls
    (0, "203.0.113.9", None, "203.0.113.9"),
    (0, "203.0.113.9", "198.51.100.7", "203.0.113.9"),
    (1, "10.0.0.1", "198.51.100.7", "198.51.100.7"),
    (1, "10.0.0.1", "203.0.113.9, 198.51.100.7:4711", "198.51.100.7"),
    (1, "::ffff:10.0.0.1", "[2001:db8:1:2::3]:4711", "2001:db8:1:2::/64"),
    (1, "10.0.0.1", "203.0.113.9,unknown", "10.0.0.1"),
    (1, "10.0.0.1", None, "10.0.0.1"),
    (2, "10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
    (2, "10.0.0.1", "198.51.100.7", "10.0.0.1"),
]


@pytest.mark.parametrize(("trusted", "peer", "forwarded", "counted"), PROXIED)
def test_only_what_trusted_proxies_append_says_who_calls(
    trusted: int, peer: str, forwarded: str | None, counted: str
) -> None:
    environ = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    assert Callers(trusted).network(environ) == counted


@pytest.mark.parametrize("header", ["X_FORWARDED_FOR", "FORWARDED", "X_REAL_IP"])
@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "::1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"]
)
def test_behind_a_proxy_that_is_not_counted_the_network_is_unknown_and_warned_of_once(
    app: Flask, peer: str, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    callers, environ = Callers(0), {"REMOTE_ADDR": peer, f"HTTP_{header}": "198.51.100.7"}
    assert [callers.network(environ) for _ in range(3)] == [None] * 3
    assert caplog.text.count("forwarded_header_ignored") == 1
    assert callers.network({"REMOTE_ADDR": peer}) is not None


def test_limits_that_would_count_all_visitors_of_an_https_site_as_one_are_off(app: Flask) -> None:
    settings = config.current()
    changes = {"public_url": "https://mindsum.test", "ratelimit_enabled": True}
    visitor = create_app(settings.model_copy(update=changes)).test_client()
    forwarded = {"X-Forwarded-For": "198.51.100.7"}
    assert 429 not in {visitor.post("/my-links", headers=forwarded).status_code for _ in range(9)}
    assert 429 in {visitor.post("/my-links").status_code for _ in range(9)}
    create_app(settings)
