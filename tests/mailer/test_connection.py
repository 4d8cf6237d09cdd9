"""Connections: kept from message to message, opened anew, never in the way."""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

import flask_mail
import pytest
from flask import Flask

from app.mailer import Connection, Mailer, MailRefused, MailWithheld
from tests.harness.mail_sending import (
    DEE,
    ELI,
    LOGIN,
    SENDER,
    letter,
    mailer_for,
    patience_for,
    text,
)
from tests.harness.smtp_server import PATIENCE_S, Action, Fault, FaultyServer, MailServer, Records
from tests.harness.waiting import until


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
    script: Mapping[str, Sequence[Action]], monkeypatch: pytest.MonkeyPatch
) -> None:
    timeout = patience_for(*script.get("rset", [None]), "rset", monkeypatch)
    mailer = partial(mailer_for, MAIL_TIMEOUT=timeout)
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
def test_a_failing_goodbye_is_success(action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    timeout = patience_for(action, "quit", monkeypatch)
    with FaultyServer({"quit": action}) as server:
        with mailer_for(server, MAIL_TIMEOUT=timeout).connect() as connection:
            connection.deliver(letter(), DEE)
        assert len(server.messages) == 1


def test_a_server_that_ignores_goodbyes_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.mailer.connection.GOODBYE_SECONDS", 0.1)
    with FaultyServer({"quit": Fault.SILENCE}) as server:
        with mailer_for(server).connect() as connection:
            connection.deliver(letter(), DEE)
            started = time.monotonic()
        assert time.monotonic() - started < PATIENCE_S / 2


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


def test_a_message_whose_end_is_withheld_is_not_taken_and_the_next_one_is() -> None:
    with MailServer() as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailWithheld):
            connection.deliver(letter(), DEE, may_finish=lambda: False)
        connection.deliver(letter(ELI), ELI, may_finish=lambda: True)
        assert [one.rcpt_tos for one in server.messages] == [(ELI,)]


def test_an_interrupted_delivery_leaves_no_half_read_connection_behind() -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    def interrupt_once_it_waits() -> None:
        until(
            "two recipients",
            lambda: [said for said in server.commands if said.startswith("RCPT")],
            lambda said: len(said) == 2,
        )
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    with FaultyServer({"rcpt": [None, Fault.SILENCE]}) as server:
        with mailer_for(server).connect() as connection:
            connection.deliver(letter(), DEE)
            usual = signal.signal(signal.SIGALRM, interrupt)
            other = threading.Thread(target=interrupt_once_it_waits)
            other.start()
            with pytest.raises(Interrupted):
                connection.deliver(letter(), DEE)
            other.join()
            signal.signal(signal.SIGALRM, usual)
            assert connection.host is None
            connection.deliver(letter(ELI), ELI)
        assert [one.rcpt_tos for one in server.messages] == [(DEE,), (ELI,)]
        assert server.connections == 2


def test_flask_mails_own_messages_have_no_way_out() -> None:
    app = Flask(__name__)
    app.config.update(MAIL_DEFAULT_SENDER=SENDER)
    mailer = Mailer()
    mailer.init_app(app)
    with app.app_context(), pytest.raises(TypeError, match="deliver"):
        mailer.send(flask_mail.Message("hello", recipients=[DEE], body="hi"))


def test_waiting_for_messages_that_do_not_come_fails() -> None:
    with pytest.raises(AssertionError, match="0 of 1"):
        Records().wait_for(1, timeout=0.01)
