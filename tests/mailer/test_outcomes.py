"""Which error a misbehaving mail server leads to, and what its reason says."""

from collections.abc import Callable, Sequence

import pytest

from app.mailer import MailBlocked, MailDeferred, MailError, MailRefused, MailUnwelcome
from tests.harness.mail_sending import (
    DEE,
    ELI,
    LOGIN,
    deliver,
    delivery_error,
    mailer_for,
    message_to,
    timeout_for,
)
from tests.harness.smtp_server import OFFERS, Action, Fault, FaultyServer, unused_port

Judge = Callable[[MailError], bool]


def deferred(code: int | None = None) -> Judge:
    return lambda e: isinstance(e, MailDeferred) and e.code == code


def refused(code: int, scope: str) -> Judge:
    return lambda e: isinstance(e, MailRefused) and (e.code, e.scope) == (code, scope)


def unwelcome(code: int) -> Judge:
    return lambda e: isinstance(e, MailUnwelcome) and e.code == code


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
    ("mail", "550 5.7.1 not your address", blocked(550)),
    ("mail", "552 5.3.4 too large", refused(552, "message")),
    ("mail", "555 5.5.4 unknown parameter", refused(555, "message")),
    ("mail", "550 5.6.7 not your address", blocked(550)),
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
    ("rcpt", "552 5.2.2 mailbox full", deferred(552)),
    ("rcpt", "550 5.1.1 unknown in relay recipient table", refused(550, "recipient")),
    ("rcpt", "550 5.7.1 sorry, not from you", unwelcome(550)),
    ("rcpt", "550 5.7.1 relaying denied", unwelcome(550)),
    ("rcpt", "550 relay not permitted", unwelcome(550)),
    ("rcpt", "550 Relaying denied", unwelcome(550)),
    ("rcpt", "554 5.4.0 Relay access denied", unwelcome(554)),
    ("rcpt", "554 <dee@example.org>: Relay access denied", unwelcome(554)),
    ("rcpt", "550 relay@example.org is unknown", refused(550, "recipient")),
    ("rcpt", "550 mail to the relayer bounces", refused(550, "recipient")),
    ("data", Fault.SILENCE, deferred()),
    ("data", Fault.DROP, deferred()),
    ("data", Fault.REPLY_THEN_DROP, deferred()),
    ("data", "250 what", deferred(250)),
    ("data", "421 4.3.2 closing down", deferred(421)),
    ("data", "451 4.3.0 try later", deferred(451)),
    ("data", "554 5.5.1 no valid recipients", refused(554, "message")),
    ("dot", Fault.SILENCE, deferred()),
    ("dot", Fault.DRIP, deferred()),
    ("dot", Fault.DROP, deferred()),
    ("dot", "what", deferred(-1)),
    ("dot", "421 4.3.2 closing down", deferred(421)),
    ("dot", "451 4.3.0 try later", deferred(451)),
    ("dot", "452 4.3.1 disk full", deferred(452)),
    ("dot", "550 5.1.1 no such mailbox", refused(550, "recipient")),
    ("dot", "552 5.3.4 too large", refused(552, "message")),
    ("dot", "554 5.6.0 content refused", refused(554, "message")),
]


@pytest.mark.parametrize("offers", [OFFERS, OFFERS[1:]], ids=["pipelined", "one by one"])
@pytest.mark.parametrize(
    ("stage", "action", "is_expected"), FAULTS, ids=[f"{stage}: {act}" for stage, act, _ in FAULTS]
)
def test_each_fault_has_its_error(
    stage: str,
    action: Action,
    is_expected: Judge,
    offers: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultyServer({stage: action}, offers=offers) as server:
        timeout = timeout_for(action, stage, monkeypatch)
        error = delivery_error(mailer_for(server, MAIL_TIMEOUT=timeout))
    assert is_expected(error), repr(error)
    assert ("in time" in error.reason) == (action in (Fault.SILENCE, Fault.DRIP))


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "auth", "mail", "rcpt", "data", "dot"])
def test_a_reply_line_that_is_too_long_decides_nothing_and_ends_the_connection(stage: str) -> None:
    endless = "550 5.1.1 no such mailbox" + " at all" * 2000
    with FaultyServer({stage: [endless]}) as server:
        with mailer_for(server, **LOGIN).connect() as connection:
            with pytest.raises(MailDeferred) as raised:
                deliver(connection, message_to(), DEE)
            assert (raised.value.code, connection.is_open) == (None, False)
            deliver(connection, message_to(ELI), ELI)
        assert server.messages[-1].rcpt_tos == (ELI,)


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.6.7 no addresses beyond ASCII",
        "553 5.6.7 no addresses beyond ASCII",
        "501 5.5.4 syntax error",
        "504 5.5.4 unknown parameter",
        "550 5.1.3 no",
        "550 no",
    ],
)
def test_a_refused_smtputf8_is_about_one_message_and_no_other(reply: str) -> None:
    deli = "дели@example.org"
    with FaultyServer({"mail": [reply]}) as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailRefused) as raised:
            deliver(connection, message_to(deli), deli)
        deliver(connection, message_to(ELI), ELI)
        assert (raised.value.scope, raised.value.is_about_server) == ("message", False)
        assert [one.rcpt_tos for one in server.messages] == [(ELI,)]
        assert server.connections == 1


@pytest.mark.parametrize("code", [530, 534, 535, 538])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("to", [DEE, "дели@example.org"])
def test_a_demand_to_log_in_blocks_at_every_stage(stage: str, code: int, to: str) -> None:
    with FaultyServer({stage: f"{code} 5.7.0 log in first, to relay"}) as server:
        error = delivery_error(mailer_for(server), to)
    assert blocked(code)(error)
    assert error.is_about_server


@pytest.mark.parametrize("reply", ["550 5.7.1 no", "530 5.7.0 log in", "451 4.3.0 later", "?"])
@pytest.mark.parametrize(
    ("stage", "had_let_us_in"),
    [
        ("greeting", False),
        ("ehlo", False),
        ("auth", False),
        ("mail", True),
        ("rcpt", True),
        ("data", True),
        ("dot", True),
    ],
)
def test_an_error_says_whether_it_came_with_a_message(
    stage: str, had_let_us_in: bool, reply: str
) -> None:
    with FaultyServer({stage: reply}) as server:
        error = delivery_error(mailer_for(server, **LOGIN))
    assert error.came_with_a_message == had_let_us_in


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(
    "action",
    [Fault.DROP, "421 4.3.2 closing down", "451 4.3.0 later", "554 5.6.0 no", "?"],
)
def test_the_message_after_a_fault_is_delivered_by_the_same_connection_object(
    stage: str, action: Action
) -> None:
    with FaultyServer({stage: [action]}) as server:
        with mailer_for(server).connect() as connection:
            with pytest.raises(MailError):
                deliver(connection, message_to(), DEE)
            deliver(connection, message_to(ELI), ELI)
        assert server.messages[-1].rcpt_tos == (ELI,)


def test_a_refused_connection_is_deferred() -> None:
    error = delivery_error(mailer_for(unused_port()))
    assert isinstance(error, MailDeferred)
    assert (error.stage, error.code, error.is_about_server) == ("connect", None, True)
    assert "refused" in error.reason


@pytest.mark.parametrize("name", ["mail.invalid", "a..b", "x" * 70 + ".test"])
def test_a_server_name_that_leads_nowhere_is_deferred(name: str) -> None:
    error = delivery_error(mailer_for(25, MAIL_SERVER=name))
    assert isinstance(error, MailDeferred)
    assert error.stage == "connect"


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
        error = delivery_error(mailer_for(server, **LOGIN))
    for text in (error.reason, str(error), repr(error)):
        assert text.isprintable()
        shown = text.lower()
        assert "@" not in shown
        assert "://" not in shown
        assert "eyj" not in shown
        assert "dee" not in shown or stage == "auth"
        assert "s3cret" not in shown or stage != "auth"
