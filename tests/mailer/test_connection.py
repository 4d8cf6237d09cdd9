"""Connections: kept from message to message, replaced where the server ended them."""

import smtplib
import threading
from collections.abc import Mapping, Sequence

import flask_mail
import pytest
from flask import Flask

from app.mailer import Mailer, MailRefused, MailWithheld
from tests.harness.mail_sending import (
    DEE,
    ELI,
    LOGIN,
    SENDER,
    body_of,
    deliver,
    mailer_for,
    message_to,
    timeout_for,
)
from tests.harness.smtp_server import Action, Fault, FaultyServer, MailServer, Records


def test_a_batch_goes_over_one_connection() -> None:
    with MailServer() as server:
        with mailer_for(server).connect() as connection:
            for number in range(20):
                deliver(connection, message_to(body=f"{number}\n"), DEE)
        taken = server.wait_for(20)
        assert server.connections == 1
    assert [body_of(one) for one in taken] == [f"{n}\n" for n in range(20)]


@pytest.mark.parametrize("action", ["421 4.3.2 idle for too long", "500 what", Fault.DROP])
def test_a_connection_that_cannot_be_reset_after_a_refusal_is_replaced(action: Action) -> None:
    script = {f"rcpt {ELI}": "550 5.1.1 no such mailbox", "rset": action}
    with FaultyServer(script) as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailRefused):
            deliver(connection, message_to(ELI), ELI)
        deliver(connection, message_to(), DEE)
        assert [one.rcpt_tos for one in server.messages] == [(DEE,)]
        assert server.connections == 2


def test_refusals_leave_the_connection_in_use() -> None:
    script = {f"rcpt {ELI}": "550 5.1.1 no such mailbox"}
    with FaultyServer(script) as server, mailer_for(server).connect() as connection:
        deliver(connection, message_to(), DEE)
        with pytest.raises(MailRefused) as raised:
            deliver(connection, message_to(ELI), ELI)
        deliver(connection, message_to(), DEE)
        assert raised.value.scope == "recipient"
        assert [one.rcpt_tos for one in server.messages] == [(DEE,), (DEE,)]
        assert server.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        {"dot": [Fault.REPLY_THEN_DROP]},
        {"mail": [None, Fault.SILENCE]},
        {"mail": [None, "421 4.7.0 too many messages"]},
        {"mail": [None, Fault.DROP]},
    ],
    ids=str,
)
def test_a_kept_connection_that_has_ended_costs_the_next_message_nothing(
    script: Mapping[str, Sequence[Action]], monkeypatch: pytest.MonkeyPatch
) -> None:
    timeout = timeout_for(*script.get("mail", [None])[-1:], "mail", monkeypatch)
    server = FaultyServer(script)
    with server, mailer_for(server, MAIL_TIMEOUT=timeout).connect() as connection:
        deliver(connection, message_to(), DEE)
        deliver(connection, message_to(ELI), ELI)
        assert [one.rcpt_tos for one in server.messages] == [(DEE,), (ELI,)]
        assert server.connections == 2


@pytest.mark.parametrize("action", [Fault.DROP, "421 bye", "500 what", Fault.REPLY_THEN_DROP, "?"])
def test_a_quit_that_fails_after_the_250_is_a_success(action: Action) -> None:
    with FaultyServer({"quit": action}) as server:
        with mailer_for(server).connect() as connection:
            deliver(connection, message_to(), DEE)
        assert len(server.messages) == 1


@pytest.mark.parametrize("action", [Fault.SILENCE, Fault.DRIP])
def test_a_server_that_does_not_answer_quit_is_left(
    action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.mailer.client.QUIT_TIMEOUT_S", 0.1)
    with FaultyServer({"quit": action}) as server:
        with mailer_for(server).connect() as connection:
            deliver(connection, message_to(), DEE)
        assert len(server.messages) == 1


def test_each_reply_may_take_the_timeout_the_last_three_times_that_and_quit_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    getreply, timeouts = smtplib.SMTP.getreply, []

    def note_timeout(client: smtplib.SMTP) -> tuple[int, bytes]:
        timeouts.append(client.sock.gettimeout())
        return getreply(client)

    monkeypatch.setattr(smtplib.SMTP, "getreply", note_timeout)
    with MailServer() as server, mailer_for(server, MAIL_TIMEOUT=20).connect() as connection:
        deliver(connection, message_to(), DEE)
        deliver(connection, message_to(), DEE)
    a_message = [20, 20, 20, 60]
    greeting = ehlo = [20]
    assert timeouts == [*greeting, *ehlo, *a_message, *a_message, 1]


def test_flask_mails_test_and_debug_modes_have_no_effect(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with FaultyServer() as server:
        with mailer_for(server, MAIL_DEBUG=1, MAIL_SUPPRESS_SEND=True, **LOGIN).connect() as link:
            deliver(link, message_to(), DEE)
        assert len(server.messages) == 1
    assert capfd.readouterr() == ("", "")


def test_threads_deliver_side_by_side_over_their_own_connections() -> None:
    with MailServer() as server:
        mailer = mailer_for(server)

        def deliver_batch(name: str) -> None:
            with mailer.connect() as connection:
                for number in range(5):
                    deliver(connection, message_to(body=f"{name} {number}\n"), DEE)

        threads = [threading.Thread(target=deliver_batch, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bodies = {body_of(one) for one in server.wait_for(20)}
        assert bodies == {f"{name} {number}\n" for name in "abcd" for number in range(5)}
        assert server.connections == 4


def test_a_message_whose_end_is_withheld_is_not_taken_and_the_next_one_is() -> None:
    with MailServer() as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailWithheld):
            deliver(connection, message_to(), DEE, may_finish=lambda: False)
        deliver(connection, message_to(ELI), ELI, may_finish=lambda: True)
        assert [one.rcpt_tos for one in server.messages] == [(ELI,)]


def test_a_delivery_interrupted_within_a_message_leaves_no_half_used_connection() -> None:
    def fail() -> bool:
        raise KeyboardInterrupt

    with MailServer() as server, mailer_for(server).connect() as connection:
        with pytest.raises(KeyboardInterrupt):
            deliver(connection, message_to(), DEE, may_finish=fail)
        assert not connection.is_open
        deliver(connection, message_to(ELI), ELI)
        assert [one.rcpt_tos for one in server.messages] == [(ELI,)]


def test_flask_mails_own_messages_cannot_be_sent() -> None:
    app = Flask(__name__)
    app.config.update(MAIL_DEFAULT_SENDER=SENDER)
    mailer = Mailer()
    mailer.init_app(app)
    with app.app_context(), pytest.raises(TypeError, match="deliver"):
        mailer.send(flask_mail.Message("hello", recipients=[DEE], body="hi"))


def test_waiting_for_messages_that_do_not_come_fails() -> None:
    with pytest.raises(AssertionError, match="0 of 1"):
        Records().wait_for(1, timeout=0.01)
