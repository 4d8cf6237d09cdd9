"""Settings that name an address or a key: made ready for their use, or refused."""

import re
import socket
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from werkzeug.datastructures import Authorization

from app import api_keys, config
from app.api_keys import ApiKey
from emails.addresses import sender_mailbox
from emails.message import message_id
from emails.safety import check_url
from tests.harness.environment import PRODUCTION, config_error, loaded


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({}, "ops@mindsum.invalid"),
        ({"OPS_EMAIL": "ops@example.org"}, "ops@example.org"),
        ({"OPS_EMAIL": "ops@example.org", "SUPPORT_EMAIL": " "}, "ops@example.org"),
        (
            {"OPS_EMAIL": "ops@example.org", "SUPPORT_EMAIL": "h@Bücher.example"},
            "h@xn--bcher-kva.example",
        ),
    ],
)
def test_replies_go_to_ops_unless_there_is_an_address_for_them(
    environment: pytest.MonkeyPatch, values: dict[str, str], address: str
) -> None:
    assert loaded(environment, **values).support_email == address


def test_a_reply_address_that_not_every_header_can_carry_is_refused_by_its_own_name(
    environment: pytest.MonkeyPatch,
) -> None:
    assert config_error(environment, OPS_EMAIL="öps@example.org").name == "SUPPORT_EMAIL"


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("HTTPS://Bookings.Example.ORG", "https://bookings.example.org"),
        ("  https://bookings.example.org/ ", "https://bookings.example.org"),
        ("https://Bücher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://faß.example", "https://xn--fa-hia.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://example.org:", "https://example.org"),
        ("https://XN--BCHER-KVA.example", "https://xn--bcher-kva.example"),
        ("https://xn--ls8h.example", "https://xn--ls8h.example"),
        ("   ", "http://127.0.0.1:8000"),
    ],
)
def test_the_sites_address_is_made_ready_for_links_and_message_ids(
    environment: pytest.MonkeyPatch, value: str, address: str
) -> None:
    settings = loaded(environment, **{**PRODUCTION, "PUBLIC_URL": value})
    assert settings.public_url == address
    assert settings.is_production == address.startswith("https")
    check_url("link", f"{address}/link/accept/token")
    assert message_id("MB-7K3QXD", "kind", "a@b.example", 1, settings.public_host)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("https://example.org/bookings", "path"),
        ("https://dee:hunter2@example.org", "user"),
        ("https://hunter2@example.org/", "user"),
        ("https://example.org?hunter2", "query"),
        ("https://example.org/#hunter2", "fragment"),
        ("https://example.org?", "query"),
        ("http://[::1]:8000", "IPv6"),
    ],
)
def test_the_sites_address_refuses_by_name_what_no_link_can_use(
    environment: pytest.MonkeyPatch, value: str, part: str
) -> None:
    error = config_error(environment, PUBLIC_URL=value)
    assert error.name == "PUBLIC_URL"
    assert re.search(rf"without an? {part}", str(error))
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    "host",
    [
        "xn--.example",
        "xn--a.example",
        "www.xn--abc.example",
        "xn--bcher-.example",
        "a-.example",
        "10.0.0.256",
        "127.1",
        "example.123",
        "example.0x1",
        "a..example",
        f"{'a' * 64}.example",
    ],
)
@pytest.mark.parametrize("name", ["PUBLIC_URL", "MAIL_SERVER"])
def test_a_host_that_no_machine_can_have_stops_the_start(
    environment: pytest.MonkeyPatch, name: str, host: str
) -> None:
    value = f"https://{host}" if name == "PUBLIC_URL" else host
    assert config_error(environment, **{name: value}).name == name


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("sslmode=nope", "sslmode"),
        ("sslmode=", "sslmode"),
        ("sslrootcert=system&sslmode=require", "sslmode"),
        ("sslnegotiation=direct", "sslnegotiation"),
        ("ssl_min_protocol_version=TLSv9", "ssl_min_protocol_version"),
        ("gssencmode=1", "gssencmode"),
        ("channel_binding=yes", "channel_binding"),
        ("target_session_attrs=master", "target_session_attrs"),
        ("load_balance_hosts=true", "load_balance_hosts"),
        ("require_auth=token", "require_auth"),
        ("service=nowhere", "service"),
        ("connect_timeout=5s", "connect_timeout"),
        ("keepalives=on", "keepalives"),
        ("tcp_user_timeout=1h", "tcp_user_timeout"),
        ("client_encoding=latin1", "client_encoding"),
        ("replication=database", "replication"),
        ("hostaddr=10.0.0.256", "hostaddr"),
        ("hostaddr=10.0.0.1,10.0.0.2", "hostaddr"),
        ("host=a,b&port=1,2,3", "port"),
        ("host=a..b", "host"),
    ],
)
def test_an_option_that_the_database_driver_refuses_is_named_without_its_value(
    environment: pytest.MonkeyPatch, options: str, named: str
) -> None:
    error = config_error(environment, DATABASE_URL=f"postgresql://u:hunter2@h/d?{options}")
    assert error.name == "DATABASE_URL"
    assert str(error).endswith(f"with another {named}")
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://u:hunter2@h/d?schema=public",
        "postgresql://u:hunter2%@h/d",
        "postgresql://u:hun@ter2@h/d",
        "postgresql://u:hun/ter2@h/d",
        "postgresql://u:12/hunter2@h/d",
        "postgresql://u:hunter2@h:x/d",
        "postgresql://u:hunter2@h:65536/d",
        "postgresql://u:hun ter2@h/d",
        "postgresql://u:hunter2@h/d\n",
        "postgresql+psycopg://u:hunter2@h/d",
    ],
)
def test_a_database_address_that_no_driver_can_use_stops_the_start_without_its_password(
    environment: pytest.MonkeyPatch, value: str
) -> None:
    error = config_error(environment, DATABASE_URL=value.replace("\n", "\n."))
    assert error.name == "DATABASE_URL"
    assert not re.search("hun|ter2", str(error))


@pytest.mark.parametrize(
    "file", [":memory:", "file:a.db", "a.db?mode=ro", "a.db#1", "~/a.db", "folder/", ".", "\ta.db"]
)
def test_a_file_that_is_no_database_stops_the_start(
    environment: pytest.MonkeyPatch, file: str
) -> None:
    assert config_error(environment, DATABASE_URL=f"sqlite:///{file}").name == "DATABASE_URL"


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (" sqlite:///a.db ", "sqlite:///a.db"),
        ("SQLite:////srv/a b.db", "sqlite:////srv/a b.db"),
        ("POSTGRESQL://u:p%40%25@h:5433/d ", "postgresql://u:p%40%25@h:5433/d"),
        ("postgres://u@a:1,b:2/d", "postgres://u@a:1,b:2/d"),
        ("postgresql://u@/d?host=/tmp/a%20b", "postgresql://u@/d?host=/tmp/a%20b"),
        *(
            (f"postgresql://u@{rest}", f"postgresql://u@{rest}")
            for rest in (
                "db.example./d?sslmode=verify-full&sslrootcert=system&connect_timeout=3",
                "a,b/d?hostaddr=10.0.0.1,::1&port=1,2&target_session_attrs=read-write",
                "[::1]:5433/d?client_encoding=UTF8&options=-c%20jit%3Doff",
            )
        ),
        ("", "sqlite:///var/mindsum.db"),
        (" ", "sqlite:///var/mindsum.db"),
    ],
)
def test_a_database_address_is_stripped_and_kept(
    environment: pytest.MonkeyPatch, value: str, url: str
) -> None:
    assert loaded(environment, DATABASE_URL=value).database_url == url


@pytest.mark.parametrize("key", ["a=b", "=ab", "clé", "two words", "a\x7f", "good,k=ey=", "🔑"])
def test_an_api_key_that_no_header_can_carry_stops_the_start(
    environment: pytest.MonkeyPatch, key: str
) -> None:
    error = config_error(environment, API_KEYS=key)
    assert error.name == "API_KEYS"
    assert key not in str(error)


def test_every_accepted_api_key_arrives_as_it_is(environment: pytest.MonkeyPatch) -> None:
    accepted = {
        "dGVzdA==": ApiKey(None, True, "dGVzdA=="),
        "$p:e/c~i+a.l-_!": ApiKey(None, True, "$p:e/c~i+a.l-_!"),
        "shop:read:k3y=": ApiKey("shop", False, "k3y="),
        "shop:write:k:4:y": ApiKey("shop", True, "k:4:y"),
    }
    settings = loaded(environment, API_KEYS=" , ".join(accepted))
    for key in accepted.values():
        authorization = Authorization.from_header(f"Bearer {key.secret}")
        assert authorization is not None and authorization.token == key.secret
        assert api_keys.find(key.secret, settings.api_keys) == key
    assert api_keys.find("shop:read:k3y=", settings.api_keys) is None


def test_the_site_listens_on_loopback_in_development_and_everywhere_in_production(
    environment: pytest.MonkeyPatch,
) -> None:
    assert config.load().bind_address == "127.0.0.1"
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    assert loaded(environment, **PRODUCTION).bind_address == everywhere
    for value, address in (("10.0.0.5", "10.0.0.5"), (" [::1] ", "::1"), ("0:0::1", "::1")):
        assert loaded(environment, BIND=value).bind_address == address


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Mindsum: Bookings", "Mindsum: Bookings"),
        ("Mindsum: Bookings: London", "Mindsum: Bookings: London"),
        ('Mindsum: "Bookings"', "Mindsum: Bookings"),
        ('"Mindsum; Bookings"', "Mindsum; Bookings"),
        ("=?utf-8?q?M=C3=BCnd?=", "Münd"),
        ("=?utf-8?q?M=FC?=", "= ?utf-8?q?M=FC?="),
        ('"Mindsum, Ltd"', "Mindsum, Ltd"),
        ("Mindsum (London) Ltd.", "Mindsum (London) Ltd."),
        ("", "Mindsum"),
    ],
)
def test_a_sender_keeps_every_word_of_its_name(
    environment: pytest.MonkeyPatch, typed: str, name: str
) -> None:
    settings = loaded(environment, MAIL_DEFAULT_SENDER=f"{typed} <b@m.example>")
    sender = sender_mailbox("sender", settings.mail_default_sender)
    message = EmailMessage()
    message["From"] = sender
    [read] = message_from_bytes(bytes(message), policy=policy.default)["From"].addresses
    assert read.addr_spec == "b@m.example"
    assert re.sub("[()]", "", read.display_name) == re.sub("[()]", "", name)
