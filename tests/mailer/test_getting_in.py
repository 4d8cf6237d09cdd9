"""Getting in: TLS, login, the settings behind them, and the check that names them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.mailer import MailBlocked, MailDeferred, MailError, Outgoing
from tests.harness.certificates import self_signed
from tests.harness.mail_sending import (
    DEE,
    LOGIN,
    deliver,
    delivery_error,
    mailer_for,
    message_to,
    timeout_for,
)
from tests.harness.smtp_server import (
    LOOPBACK,
    NOT_CALLED_LOOPBACK,
    Action,
    Fault,
    FaultyServer,
    unused_port,
)


@pytest.mark.parametrize(
    "ways", [{"MAIL_USE_TLS": True}, {"MAIL_USE_SSL": True}], ids=["STARTTLS", "TLS"]
)
@pytest.mark.parametrize(
    ("server_name", "certified", "is_trusted", "is_delivered"),
    [
        (NOT_CALLED_LOOPBACK, NOT_CALLED_LOOPBACK, True, True),
        (NOT_CALLED_LOOPBACK, NOT_CALLED_LOOPBACK, False, False),
        (NOT_CALLED_LOOPBACK, "mail.example.org", True, False),
        (LOOPBACK, "mail.example.org", False, True),
        ("localhost", "mail.example.org", False, True),
    ],
    ids=["trusted", "unknown issuer", "another's name", "loopback", "localhost"],
)
def test_certificates_are_verified_unless_the_server_is_loopback(
    ways: Mapping[str, bool],
    server_name: str,
    certified: str,
    is_trusted: bool,
    is_delivered: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate = self_signed(tmp_path, certified)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    with FaultyServer(tls=certificate.context, implicit_tls="MAIL_USE_SSL" in ways) as server:
        settings = {"MAIL_USERNAME": "mindsum", "MAIL_PASSWORD": "s3cret"}
        mailer = mailer_for(server, MAIL_SERVER=server_name, **settings, **ways)
        if is_delivered:
            with mailer.connect() as connection:
                deliver(connection, message_to(), DEE)
        else:
            error = delivery_error(mailer)
            assert isinstance(error, MailDeferred)
            assert error.stage == "tls"
            assert "certificate" in error.reason
        assert (len(server.messages), len(server.logins)) == (is_delivered, is_delivered)


@pytest.mark.parametrize("stage", ["greeting", "starttls"])
def test_a_server_that_hangs_before_tls_is_deferred(stage: str, tmp_path: Path) -> None:
    tls = self_signed(tmp_path, LOOPBACK).context
    with FaultyServer({stage: Fault.SILENCE}, tls=tls) as server:
        way = {"MAIL_USE_SSL": True} if stage == "greeting" else {"MAIL_USE_TLS": True}
        assert isinstance(delivery_error(mailer_for(server, MAIL_TIMEOUT=0.2, **way)), MailDeferred)


def test_a_reply_that_drips_in_over_tls_is_deferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = self_signed(tmp_path, LOOPBACK).context
    timeout = timeout_for(Fault.DRIP, "rcpt", monkeypatch)
    with FaultyServer({"rcpt": Fault.DRIP}, tls=tls, implicit_tls=True) as server:
        error = delivery_error(mailer_for(server, MAIL_TIMEOUT=timeout, MAIL_USE_SSL=True))
    assert isinstance(error, MailDeferred)
    assert "in time" in error.reason


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "502 5.5.1 not known"])
def test_tls_that_the_server_will_not_do_is_deferred(reply: str, tmp_path: Path) -> None:
    tls = self_signed(tmp_path, LOOPBACK).context
    with FaultyServer({"starttls": reply}, tls=tls) as server:
        error = delivery_error(mailer_for(server, MAIL_USE_TLS=True))
    assert isinstance(error, MailDeferred)
    assert error.stage == "tls"


def test_no_mail_goes_unencrypted_where_starttls_is_missing() -> None:
    with FaultyServer() as server:
        error = delivery_error(mailer_for(server, MAIL_USE_TLS=True))
        assert isinstance(error, MailDeferred)
        assert (error.stage, server.messages) == ("tls", [])


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("535 5.7.8 credentials invalid", MailBlocked),
        ("530 5.7.0 must issue STARTTLS first", MailBlocked),
        ("534 5.7.9 mechanism too weak", MailBlocked),
        ("454 4.7.0 temporary failure", MailDeferred),
        ("421 4.3.2 closing down", MailDeferred),
        (Fault.DROP, MailDeferred),
        (Fault.SILENCE, MailDeferred),
    ],
)
def test_a_failed_login_blocks_the_queue_unless_it_is_temporary(
    reply: Action, expected: type[MailError], monkeypatch: pytest.MonkeyPatch
) -> None:
    timeout = timeout_for(reply, "auth", monkeypatch)
    with FaultyServer({"auth": reply}) as server:
        error = delivery_error(mailer_for(server, MAIL_TIMEOUT=timeout, **LOGIN))
    assert type(error) is expected
    assert error.stage == "login"


def test_a_refused_login_names_neither_the_account_nor_its_owner() -> None:
    login = {**LOGIN, "MAIL_USERNAME": "asha.rao@narwhal.example"}
    words = "535 5.7.8 Asha.Rao of NARWHAL.example <asha.rao@narwhal.example> must pay first"
    with FaultyServer({"auth": words}) as server:
        error = delivery_error(mailer_for(server, **login))
    assert str(error) == "login: 535 5.7.8 *** of *** <***> must pay first"


@pytest.mark.parametrize(
    ("offers", "settings"),
    [
        ((), LOGIN),
        (("AUTH GSSAPI",), LOGIN),
        (("AUTH PLAIN",), {**LOGIN, "MAIL_PASSWORD": "pässword"}),
        (("AUTH PLAIN",), {**LOGIN, "MAIL_SERVER": NOT_CALLED_LOOPBACK}),
        ((), {"MAIL_DEFAULT_SENDER": "Mindsum"}),
        ((), {"MAIL_DEFAULT_SENDER": None}),
    ],
    ids=["no AUTH", "unknown AUTH", "password not ASCII", "unencrypted", "no address", "none"],
)
def test_settings_that_cannot_work_block_the_queue(
    offers: Sequence[str], settings: Mapping[str, Any]
) -> None:
    with FaultyServer(offers=offers) as server:
        error = delivery_error(mailer_for(server, **settings))
        assert isinstance(error, MailBlocked)
        assert (server.logins, server.messages) == ([], [])


@pytest.mark.parametrize("to", [DEE, "дели@example.org"])
def test_a_sender_beyond_ascii_blocks_the_queue_where_smtputf8_is_not_offered(to: str) -> None:
    with FaultyServer(offers=()) as server:
        mailer = mailer_for(server, MAIL_DEFAULT_SENDER="Mindsum <grüße@mindsum.test>")
        error = delivery_error(mailer, to)
        line = mailer.check()
        assert server.messages == []
    assert isinstance(error, MailBlocked)
    assert (error.is_about_server, error.came_with_a_message) == (True, False)
    assert "MAIL_DEFAULT_SENDER" in error.reason
    assert line is not None
    assert error.reason in line


def test_a_sender_beyond_ascii_sends_where_smtputf8_is_offered() -> None:
    with FaultyServer() as server:
        mailer = mailer_for(server, MAIL_DEFAULT_SENDER="Mindsum <grüße@mindsum.test>")
        assert mailer.check() is None
        with mailer.connect() as connection:
            deliver(connection, message_to(), DEE)
        assert [one.envelope_from for one in server.messages] == ["grüße@mindsum.test"]


@pytest.mark.parametrize("to", [DEE, "дели@example.org"])
def test_a_sender_beyond_ascii_that_is_refused_blocks_the_queue(to: str) -> None:
    with FaultyServer({"mail": "550 5.6.7 no addresses beyond ASCII"}) as server:
        mailer = mailer_for(server, MAIL_DEFAULT_SENDER="Mindsum <grüße@mindsum.test>")
        assert isinstance(delivery_error(mailer, to), MailBlocked)
        assert "look at MAIL_DEFAULT_SENDER" in str(mailer.check())


@pytest.mark.parametrize(
    "reply", ["553 5.7.1 not owned by user", "450 4.1.8 Domain not found", "550 " + "no " * 200]
)
def test_a_server_that_refuses_bounce_addresses_is_told_by_the_setting_behind_them(
    reply: str,
) -> None:
    bounces = "bounce+17-x@in.example"
    with FaultyServer({f"mail {bounces}": reply}) as server:
        mailer = mailer_for(server)
        message = Outgoing(DEE, message_to().as_bytes(), envelope_sender=bounces)
        with mailer.connect() as connection:
            ((_, error),) = connection.deliver([message])
        assert "bounce address of INBOUND_DOMAIN" in str(error)
        assert len(str(error)) < 250
        assert bounces not in str(error)
        assert "bounce address of INBOUND_DOMAIN" in str(mailer.check(bounces))
        # Other senders are taken.
        assert mailer.check() is None


def test_check_finds_nothing_wrong_with_a_good_server() -> None:
    with FaultyServer() as server:
        assert mailer_for(server, **LOGIN).check() is None
        assert (len(server.logins), server.messages) == (1, [])


@pytest.mark.parametrize(
    ("script", "settings", "named"),
    [
        ({}, {"MAIL_PORT": unused_port()}, "MAIL_PORT"),
        ({}, {"MAIL_SERVER": "mail.invalid"}, "MAIL_SERVER"),
        ({"greeting": Fault.SILENCE}, {"MAIL_TIMEOUT": 0.2}, "MAIL_USE_SSL"),
        ({}, {"MAIL_USE_TLS": True}, "MAIL_USE_TLS"),
        ({}, {"MAIL_USE_SSL": True}, "MAIL_USE_SSL"),
        ({"auth": "535 5.7.8 wrong"}, LOGIN, "MAIL_PASSWORD"),
        ({"mail": "530 5.7.0 log in first"}, {}, "MAIL_USERNAME"),
        ({}, {"MAIL_DEFAULT_SENDER": "bookings@foo..bar"}, "MAIL_DEFAULT_SENDER"),
        ({"mail": "550 5.7.1 not your address"}, {}, "MAIL_DEFAULT_SENDER"),
    ],
)
def test_check_names_the_setting_to_look_at(
    script: Mapping[str, Action], settings: Mapping[str, Any], named: str
) -> None:
    with FaultyServer(script) as server:
        line = mailer_for(server, **settings).check()
    assert line is not None
    assert named in line
    assert line.isprintable()
    assert "s3cret" not in line
