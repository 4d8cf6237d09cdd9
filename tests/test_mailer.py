"""What comes of a message at an ordinary mail server and at misbehaving ones."""

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage, Message
from email.policy import SMTP, SMTPUTF8
from functools import partial
from pathlib import Path
from typing import Any

import flask_mail
import pytest
from flask import Flask

from app.mailer import Connection, MailBlocked, MailDeferred, Mailer, MailError, MailRefused
from tests.smtp_server import (
    LOOPBACK,
    NOT_CALLED_LOOPBACK,
    Accepted,
    Action,
    Fault,
    FaultyServer,
    MailServer,
    Records,
    self_signed,
    unused_port,
)

DEE = "dee@example.org"
ELI = "eli@example.org"
SENDER = "bookings@mindsum.test"
LOGIN = {"MAIL_USERNAME": "mindsum", "MAIL_PASSWORD": "s3cret-pass"}


def mailer_for(server: MailServer | FaultyServer | int, **settings: Any) -> Mailer:
    app = Flask(__name__)
    # As in tests of the whole application: Flask-Mail would now print much and send nothing.
    app.testing = app.debug = True
    app.config.update(
        MAIL_SERVER=LOOPBACK,
        MAIL_PORT=server if isinstance(server, int) else server.port,
        MAIL_DEFAULT_SENDER=f"Mindsum <{SENDER}>",
        MAIL_TIMEOUT=5,
    )
    app.config.update(settings)
    return Mailer(app)


def letter(to: str = DEE, body: str = "See you on Tuesday.\n") -> EmailMessage:
    message = EmailMessage(policy=SMTP if to.isascii() else SMTPUTF8)
    message["From"] = f"Mindsum <{SENDER}>"
    message["To"] = to
    message["Subject"] = "Session request, Tue 3 Nov 14:00"
    message["Message-ID"] = "<one@mindsum.test>"
    message.set_content(body, cte="quoted-printable" if body.isascii() else "8bit")
    return message


def patience_for(action: Action) -> float:
    """Seconds: short where the server never answers, or else long enough for a busy machine."""
    return 0.2 if action in (Fault.SILENCE, Fault.DRIP) else 5


def text(taken: Accepted) -> str:
    content: str = taken.parsed.get_content()
    return content.replace("\r\n", "\n")


def outcome_of(mailer: Mailer, to: str = DEE) -> MailError:
    with mailer.connect() as connection, pytest.raises(MailError) as raised:
        connection.deliver(letter(to), to)
    return raised.value


Judge = Callable[[MailError], bool]


def deferred(code: int | None = None, reply_lost: bool = False) -> Judge:
    return lambda e: isinstance(e, MailDeferred) and (e.code, e.reply_lost) == (code, reply_lost)


def refused(code: int, scope: str) -> Judge:
    return lambda e: isinstance(e, MailRefused) and (e.code, e.scope) == (code, scope)


def blocked(code: int) -> Judge:
    return lambda e: isinstance(e, MailBlocked) and e.code == code


FAULTS: Sequence[tuple[str, Action, Judge]] = [
    ("greeting", Fault.SILENCE, deferred()),
    ("greeting", Fault.DRIP, deferred()),
    ("greeting", Fault.DROP, deferred()),
    ("greeting", "421 4.3.2 closing down", deferred(421)),
    ("greeting", "554 5.7.1 no mail from your network", blocked(554)),
    ("greeting", "HTTP/1.1 400 Bad Request", deferred(-1)),
    ("ehlo", Fault.SILENCE, deferred()),
    ("ehlo", Fault.DROP, deferred()),
    ("ehlo", "421 4.3.2 closing down", deferred(421)),
    ("ehlo", "550 5.7.1 we do not know you", blocked(550)),
    ("mail", Fault.SILENCE, deferred()),
    ("mail", Fault.DROP, deferred()),
    ("mail", "421 4.3.2 closing down", deferred(421)),
    ("mail", "450 4.7.1 slow down", deferred(450)),
    ("mail", "452 4.3.1 disk full", deferred(452)),
    ("mail", "530 5.7.0 authentication required", blocked(530)),
    ("mail", "550 5.7.1 not your address", refused(550, "message")),
    ("mail", "552 5.3.4 too large", refused(552, "message")),
    ("rcpt", Fault.SILENCE, deferred()),
    ("rcpt", Fault.DRIP, deferred()),
    ("rcpt", Fault.DROP, deferred()),
    ("rcpt", "421 4.3.2 closing down", deferred(421)),
    ("rcpt", "450 4.2.1 greylisted", deferred(450)),
    ("rcpt", "451 4.3.0 try later", deferred(451)),
    ("rcpt", "452 4.2.2 mailbox full", deferred(452)),
    ("rcpt", "530 5.7.0 authentication required", blocked(530)),
    ("rcpt", "550 5.1.1 no such mailbox", refused(550, "recipient")),
    ("rcpt", "550 no such mailbox", refused(550, "recipient")),
    ("rcpt", "552 5.2.2 mailbox full", refused(552, "recipient")),
    ("rcpt", "554 5.7.1 relay access denied", refused(554, "message")),
    ("data", Fault.SILENCE, deferred()),
    ("data", Fault.DROP, deferred()),
    ("data", Fault.REPLY_THEN_DROP, deferred(reply_lost=True)),
    ("data", "250 what", deferred(250)),
    ("data", "421 4.3.2 closing down", deferred(421)),
    ("data", "451 4.3.0 try later", deferred(451)),
    ("data", "554 5.5.1 no valid recipients", refused(554, "message")),
    ("dot", Fault.SILENCE, deferred(reply_lost=True)),
    ("dot", Fault.DRIP, deferred(reply_lost=True)),
    ("dot", Fault.DROP, deferred(reply_lost=True)),
    ("dot", "what", deferred(-1, reply_lost=True)),
    ("dot", "421 4.3.2 closing down", deferred(421)),
    ("dot", "451 4.3.0 try later", deferred(451)),
    ("dot", "452 4.3.1 disk full", deferred(452)),
    ("dot", "550 5.1.1 no such mailbox", refused(550, "recipient")),
    ("dot", "552 5.3.4 too large", refused(552, "message")),
    ("dot", "554 5.6.0 content refused", refused(554, "message")),
]


@pytest.mark.parametrize(
    ("stage", "action", "is_expected"), FAULTS, ids=[f"{stage}: {act}" for stage, act, _ in FAULTS]
)
def test_each_fault_has_its_outcome(stage: str, action: Action, is_expected: Judge) -> None:
    with FaultyServer({stage: action}) as server:
        started = time.monotonic()
        error = outcome_of(mailer_for(server, MAIL_TIMEOUT=patience_for(action)))
        assert is_expected(error), repr(error)
        assert time.monotonic() - started < 3
        # The reply to a whole message is awaited three times as long, and that is all it takes.
        if stage == "dot" and action is Fault.SILENCE:
            assert time.monotonic() - started > 0.55


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(
    "action",
    [Fault.DROP, "421 4.3.2 closing down", "451 4.3.0 later", "554 5.6.0 no", "?"],
)
def test_the_message_after_a_fault_is_delivered_by_the_same_connection_object(
    stage: str, action: Action
) -> None:
    with FaultyServer({stage: [action]}) as server:
        with mailer_for(server, MAIL_TIMEOUT=patience_for(action)).connect() as connection:
            with pytest.raises(MailError):
                connection.deliver(letter(), DEE)
            connection.deliver(letter(ELI), ELI)
        assert server.messages[-1].rcpt_tos == (ELI,)


def test_a_refused_connection_is_deferred() -> None:
    error = outcome_of(mailer_for(unused_port()))
    assert isinstance(error, MailDeferred)
    assert (error.stage, error.code, error.is_about_server) == ("connect", None, True)
    assert "refused" in error.reason


@pytest.mark.parametrize("name", ["mail.invalid", "a..b", "x" * 70 + ".test"])
def test_a_server_name_that_leads_nowhere_is_deferred(name: str) -> None:
    error = outcome_of(mailer_for(25, MAIL_SERVER=name))
    assert isinstance(error, MailDeferred)
    assert error.stage == "connect"


def test_a_message_arrives_as_it_was_written() -> None:
    message = letter(body=".a dot\n..two\nFrom here\nfin.\n")
    with MailServer() as server, mailer_for(server).connect() as connection:
        connection.deliver(message, DEE)
        (taken,) = server.wait_for(1)
    assert (taken.envelope_from, taken.rcpt_tos) == (SENDER, (DEE,))
    assert taken.raw == message.as_bytes()
    assert text(taken) == ".a dot\n..two\nFrom here\nfin.\n"


def test_a_batch_goes_over_one_connection() -> None:
    with MailServer() as server:
        with mailer_for(server).connect() as connection:
            for number in range(20):
                connection.deliver(letter(body=f"{number}\n"), DEE)
        taken = server.wait_for(20)
        assert server.connections == 1
    assert [text(one) for one in taken] == [f"{n}\n" for n in range(20)]


def test_refusals_leave_the_connection_in_use() -> None:
    script = {f"rcpt {ELI}": "550 5.1.1 no such mailbox"}
    with FaultyServer(script) as server, mailer_for(server).connect() as connection:
        connection.deliver(letter(), DEE)
        with pytest.raises(MailRefused) as raised:
            connection.deliver(letter(ELI), ELI)
        connection.deliver(letter(), DEE)
        assert raised.value.scope == "recipient"
        assert [one.rcpt_tos for one in server.messages] == [(DEE,), (DEE,)]
        assert server.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        {"dot": [Fault.REPLY_THEN_DROP]},
        {"rset": ["421 4.3.2 idle for too long"]},
        {"rset": [Fault.SILENCE]},
        {"mail": [None, "421 4.7.0 too many messages"]},
        {"mail": [None, Fault.DROP]},
    ],
    ids=str,
)
def test_a_kept_connection_that_has_ended_costs_the_next_message_nothing(
    script: Mapping[str, Sequence[Action]],
) -> None:
    mailer = partial(mailer_for, MAIL_TIMEOUT=patience_for(*script.get("rset", [None])))
    with FaultyServer(script) as server, mailer(server).connect() as connection:
        connection.deliver(letter(), DEE)
        connection.deliver(letter(ELI), ELI)
        assert [one.rcpt_tos for one in server.messages] == [(DEE,), (ELI,)]
        assert server.connections == 2


def test_an_idle_connection_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "idle_seconds", -1.0)
    with FaultyServer() as server, mailer_for(server).connect() as connection:
        connection.deliver(letter(), DEE)
        connection.deliver(letter(), DEE)
        assert server.connections == 2
        assert "RSET" not in map(str.upper, server.commands)


@pytest.mark.parametrize(
    "action", [Fault.DROP, Fault.DRIP, "421 bye", "500 what", Fault.REPLY_THEN_DROP, "?"]
)
def test_a_failing_goodbye_is_success(action: Action) -> None:
    with FaultyServer({"quit": action}) as server:
        with mailer_for(server, MAIL_TIMEOUT=patience_for(action)).connect() as connection:
            connection.deliver(letter(), DEE)
        assert len(server.messages) == 1


def test_a_server_that_ignores_goodbyes_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.mailer.connection.GOODBYE_SECONDS", 0.1)
    with FaultyServer({"quit": Fault.SILENCE}) as server:
        with mailer_for(server).connect() as connection:
            connection.deliver(letter(), DEE)
            started = time.monotonic()
        assert time.monotonic() - started < 3


def test_neither_test_nor_debug_mode_of_flask_changes_or_prints_a_thing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with FaultyServer() as server:
        with mailer_for(server, MAIL_DEBUG=1, MAIL_SUPPRESS_SEND=True, **LOGIN).connect() as link:
            link.deliver(letter(), DEE)
        assert len(server.messages) == 1
    assert capfd.readouterr() == ("", "")


def test_threads_deliver_side_by_side_over_their_own_connections() -> None:
    with MailServer() as server:
        mailer = mailer_for(server)

        def deliver_batch(name: str) -> None:
            with mailer.connect() as connection:
                for number in range(5):
                    connection.deliver(letter(body=f"{name} {number}\n"), DEE)

        threads = [threading.Thread(target=deliver_batch, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bodies = {text(one) for one in server.wait_for(20)}
        assert bodies == {f"{name} {number}\n" for name in "abcd" for number in range(5)}
        assert server.connections == 4


def test_an_interrupted_delivery_leaves_no_half_read_connection_behind() -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    with FaultyServer({"rcpt": [None, Fault.SILENCE]}) as server:
        with mailer_for(server).connect() as connection:
            connection.deliver(letter(), DEE)
            usual = signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupted):
                connection.deliver(letter(), DEE)
            signal.signal(signal.SIGALRM, usual)
            assert connection.host is None
            connection.deliver(letter(ELI), ELI)
        assert [one.rcpt_tos for one in server.messages] == [(DEE,), (ELI,)]
        assert server.connections == 2


@pytest.mark.parametrize(
    "recipient",
    [
        "dee@example.org\r\nRCPT TO:<stranger@example.org>",
        "dee@example.org\n",
        "dee@example.org> SIZE=1",
        "dee@example.org,stranger@example.org",
        "Dee <dee@example.org>",
        "dee\x00@example.org",
        "dee\u2028@example.org",
        "dee\ud800@example.org",
        "dee@example.org\u0085",
        "dee@\ud800.org",
        "dee@exa mple.org",
        '"dee\r\n"@example.org',
        "dee@stranger@example.org",
        "dee",
        "@example.org",
        "",
        "d" * 250 + "@example.org",
    ],
)
def test_what_is_no_address_is_refused_before_the_server_hears_of_it(recipient: str) -> None:
    with FaultyServer() as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailRefused) as raised:
            connection.deliver(letter(), recipient)
        assert (raised.value.scope, raised.value.code) == ("recipient", None)
        assert server.connections == 0


@pytest.mark.parametrize(
    "recipient", ["dee+1@example.org", '"dee d"@example.org', "o'dee@x_y.org", "dee@[127.0.0.1]"]
)
def test_unusual_addresses_are_served(recipient: str) -> None:
    with MailServer() as server, mailer_for(server).connect() as connection:
        connection.deliver(letter(recipient), recipient)
        assert server.wait_for(1)[0].rcpt_tos == (recipient,)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda m: m._headers.append(("X-Note", "a\r\nBcc: stranger@example.org")),
        lambda m: m._headers.append(("X-Note", "a\r\n\r\nBcc: stranger@example.org")),
        lambda m: m._headers.append(("X-Note\r\nBcc", "stranger@example.org")),
        lambda m: Message.set_payload(m, "a\0b"),
    ],
    ids=["line in header", "early body", "line in name", "NUL"],
)
def test_a_message_that_would_be_more_than_one_is_refused(
    tamper: Callable[[EmailMessage], None],
) -> None:
    message = letter()
    tamper(message)
    with FaultyServer() as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailRefused) as raised:
            connection.deliver(message, DEE)
        assert raised.value.scope == "message"
        assert server.connections == 0


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_dots_smuggle_no_second_message(end: str) -> None:
    message = letter()
    smuggled = ["one", ".", "MAIL FROM:<stranger@example.org>", "..", "two"]
    Message.set_payload(message, end.join(smuggled))
    with MailServer() as server, mailer_for(server).connect() as connection:
        connection.deliver(message, DEE)
        (taken,) = server.wait_for(1)
    assert text(taken).split() == " ".join(smuggled).split()


def test_an_address_beyond_ascii_goes_by_smtputf8_where_it_is_offered() -> None:
    to = "дели@example.org"
    with MailServer() as server, mailer_for(server).connect() as connection:
        connection.deliver(letter(to), to)
        connection.deliver(letter(), DEE)
        first, second = server.wait_for(2)
        assert first.rcpt_tos == (to,)
        assert first.parsed["To"].addresses[0].addr_spec == to
        assert second.rcpt_tos == (DEE,)


def test_an_address_beyond_ascii_is_refused_for_good_where_it_is_not_offered() -> None:
    to = "дели@example.org"
    with MailServer(takes_utf8=False) as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailRefused, match="SMTPUTF8") as raised:
            connection.deliver(letter(to), to)
        assert raised.value.scope == "recipient"
        connection.deliver(letter(), DEE)
        assert len(server.wait_for(1)) == 1
        assert server.connections == 1


def test_an_international_domain_needs_no_smtputf8() -> None:
    with FaultyServer(offers=()) as server, mailer_for(server).connect() as connection:
        connection.deliver(letter(), "dee@straße.example")
        assert server.messages[0].rcpt_tos == ("dee@xn--strae-oqa.example",)


def test_options_are_used_only_where_offered_and_needed() -> None:
    with FaultyServer() as server, mailer_for(server).connect() as connection:
        connection.deliver(letter(), DEE)
        connection.deliver(letter(body="Grüße\n"), DEE)
        plain, eight_bit = (one for one in server.commands if one.startswith("MAIL"))
        assert "SMTPUTF8" not in plain + eight_bit
        assert ("BODY=8BITMIME" in plain, "BODY=8BITMIME" in eight_bit) == (False, True)
        assert f"SIZE={len(server.messages[0].raw)}" in plain
    with FaultyServer(offers=()) as server, mailer_for(server).connect() as connection:
        connection.deliver(letter(), DEE)
        assert f"MAIL FROM:<{SENDER}>" in server.commands


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
                connection.deliver(letter(), DEE)
        else:
            error = outcome_of(mailer)
            assert isinstance(error, MailDeferred)
            assert error.stage == "tls"
            assert "certificate" in error.reason
        assert (len(server.messages), len(server.logins)) == (is_delivered, is_delivered)


@pytest.mark.parametrize("stage", ["greeting", "starttls"])
def test_a_server_that_hangs_before_tls_is_deferred(stage: str, tmp_path: Path) -> None:
    tls = self_signed(tmp_path, LOOPBACK).context
    with FaultyServer({stage: Fault.SILENCE}, tls=tls) as server:
        way = {"MAIL_USE_SSL": True} if stage == "greeting" else {"MAIL_USE_TLS": True}
        assert isinstance(outcome_of(mailer_for(server, MAIL_TIMEOUT=0.2, **way)), MailDeferred)


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "502 5.5.1 not known"])
def test_tls_that_the_server_will_not_do_is_deferred(reply: str, tmp_path: Path) -> None:
    tls = self_signed(tmp_path, LOOPBACK).context
    with FaultyServer({"starttls": reply}, tls=tls) as server:
        error = outcome_of(mailer_for(server, MAIL_USE_TLS=True))
    assert isinstance(error, MailDeferred)
    assert error.stage == "tls"


def test_no_mail_goes_unencrypted_where_starttls_is_missing() -> None:
    with FaultyServer() as server:
        error = outcome_of(mailer_for(server, MAIL_USE_TLS=True))
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
    reply: Action, expected: type[MailError]
) -> None:
    with FaultyServer({"auth": reply}) as server:
        error = outcome_of(mailer_for(server, MAIL_TIMEOUT=patience_for(reply), **LOGIN))
    assert type(error) is expected
    assert error.stage == "login"


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
        error = outcome_of(mailer_for(server, **settings))
        assert isinstance(error, MailBlocked)
        assert (server.logins, server.messages) == ([], [])


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.1.1 <dee@example.org>: user dee unknown; see https://x.test/?id=dee@example.org",
        "550 5.1.1 Dee is unknown\x1b[2K\u202e here",
        "550 5.1.1 spam: /link/accept/eyJmb3IiOiJhY2NlcHQiLCJ0byI6MX0.abc.def-ghi_jkl",
        "535 5.7.8 mindsum/s3cret-pass was wrong",
        "550-5.1.1 first line\r\n550 5.1.1 second line",
    ],
)
@pytest.mark.parametrize("stage", ["auth", "rcpt", "dot"])
def test_reasons_are_one_line_without_addresses_links_or_secrets(stage: str, reply: str) -> None:
    with FaultyServer({stage: reply}) as server:
        error = outcome_of(mailer_for(server, **LOGIN))
    for text in (error.reason, str(error), repr(error)):
        assert text.isprintable()
        shown = text.lower()
        assert "@" not in shown
        assert "://" not in shown
        assert "eyj" not in shown
        assert "dee" not in shown or stage == "auth"
        assert "s3cret" not in shown or stage != "auth"


def test_flask_mails_own_messages_have_no_way_out() -> None:
    app = Flask(__name__)
    app.config.update(MAIL_DEFAULT_SENDER=SENDER)
    mailer = Mailer()
    mailer.init_app(app)
    with app.app_context(), pytest.raises(TypeError, match="deliver"):
        mailer.send(flask_mail.Message("hello", recipients=[DEE], body="hi"))


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


def test_waiting_for_messages_that_do_not_come_fails() -> None:
    with pytest.raises(AssertionError, match="0 of 1"):
        Records().wait_for(1, timeout=0.01)
