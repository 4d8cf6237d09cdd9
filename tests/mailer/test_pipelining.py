"""Several messages over one connection: what goes out together, and whose each reply is."""

import smtplib
from collections.abc import Mapping, Sequence

import pytest

from app.mailer import MailError
from tests.harness.mail_sending import DEE, ELI, body_of, mailer_for, message_to, outgoing
from tests.harness.smtp_server import OFFERS, Action, Fault, FaultyServer

FAY = "fay@example.org"
DELI = "дели@example.org"
REFUSED = "550 5.1.1 no such mailbox"
PIPELINED = pytest.mark.parametrize("offers", [OFFERS, OFFERS[1:]], ids=["pipelined", "one by one"])

Script = Mapping[str, Action | Sequence[Action]]


def delivered(server: FaultyServer, *recipients: str) -> list[int | None]:
    """Deliver to each; the code of each error, 250 where the server took the message."""
    messages = [outgoing(message_to(to, f"{number}\n"), to) for number, to in enumerate(recipients)]
    with mailer_for(server).connect() as connection:
        ends = list(connection.deliver(messages))
    assert [message for message, _ in ends] == messages
    return [error.code if error else 250 for _, error in ends]


def test_commands_of_the_next_message_go_out_with_the_end_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send, groups = smtplib.SMTP.send, list[str]()

    def note(client: smtplib.SMTP, data: bytes | str) -> None:
        lines = (data if isinstance(data, bytes) else data.encode()).splitlines()
        groups.append(" ".join(line[:4].decode("latin-1") for line in lines))
        send(client, data)

    monkeypatch.setattr(smtplib.SMTP, "send", note)
    with FaultyServer() as server:
        assert delivered(server, DEE, ELI, FAY) == [250, 250, 250]
    sent = [group for group in groups if not group.startswith(("From", "ehlo"))]
    ahead = ". MAIL RCPT DATA"
    assert sent == ["MAIL RCPT DATA", ahead, ahead, ".", "quit"]


@PIPELINED
@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ({f"rcpt {ELI}": REFUSED}, [250, 550, 250]),
        ({"mail": [None, "452 4.3.1 not now"]}, [250, 452, 250]),
        ({"dot": [None, "554 5.6.0 no"]}, [250, 554, 250]),
        ({"dot": ["451 4.3.0 later", None, None]}, [451, 250, 250]),
    ],
    ids=str,
)
def test_a_refusal_is_told_of_its_own_message_alone(
    script: Script, codes: list[int], offers: Sequence[str]
) -> None:
    with FaultyServer(script, offers=offers) as server:
        assert delivered(server, DEE, ELI, FAY) == codes
        taken = [to for to, code in zip((DEE, ELI, FAY), codes, strict=True) if code == 250]
        assert [one.rcpt_tos for one in server.messages] == [(to,) for to in taken]
        assert [body_of(one) for one in server.messages] == [
            f"{number}\n" for number, code in enumerate(codes) if code == 250
        ]
        assert server.connections == 1


@PIPELINED
@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ({"dot": ["421 4.3.2 closing down"]}, [421, 250, 250]),
        ({"dot": [None, Fault.DROP]}, [250, None, 250]),
        ({"dot": [None, Fault.REPLY_THEN_DROP]}, [250, 250, 250]),
        ({"mail": [None, "421 4.7.0 too many messages"]}, [250, 250, 250]),
        ({"mail": [None, Fault.DROP]}, [250, 250, 250]),
        ({"rcpt": [None, Fault.DROP]}, [250, None, 250]),
        ({"data": [None, Fault.DROP]}, [250, None, 250]),
        ({"data": [None, Fault.REPLY_THEN_DROP]}, [250, None, 250]),
    ],
    ids=str,
)
def test_a_server_that_goes_away_costs_at_most_the_message_it_was_given(
    script: Script, codes: list[int | None], offers: Sequence[str]
) -> None:
    with FaultyServer(script, offers=offers) as server:
        assert delivered(server, DEE, ELI, FAY) == codes
        taken = {one.rcpt_tos[0] for one in server.messages}
        assert taken >= {to for to, code in zip((DEE, ELI, FAY), codes, strict=True) if code == 250}
        assert server.connections == 2


def test_a_message_that_the_server_cannot_take_goes_ahead_of_nothing() -> None:
    offers = ("PIPELINING", "8BITMIME")
    with FaultyServer(offers=offers) as server:
        assert delivered(server, DEE, DELI, ELI, "no address", FAY) == [250, None, 250, None, 250]
        assert [one.rcpt_tos[0] for one in server.messages] == [DEE, ELI, FAY]
        assert server.connections == 1


def test_what_fails_while_the_next_message_is_made_leaves_no_half_used_connection() -> None:
    def messages() -> object:
        yield outgoing(message_to(), DEE)
        raise KeyboardInterrupt

    with FaultyServer() as server, mailer_for(server).connect() as connection:
        with pytest.raises(KeyboardInterrupt):
            list(connection.deliver(messages()))  # type: ignore[arg-type] # it never ends
        assert not connection.is_open
        assert server.messages == []


def test_leaving_with_commands_ahead_sends_no_goodbye_as_a_message() -> None:
    with FaultyServer() as server:
        with mailer_for(server).connect() as connection:
            ends = connection.deliver([outgoing(message_to(to), to) for to in (DEE, ELI)])
            assert next(ends)[1] is None
        assert [one.rcpt_tos for one in server.messages] == [(DEE,)]
        assert "QUIT" not in server.commands


def test_a_server_that_waits_for_a_message_to_nobody_gets_none() -> None:
    script: Script = {f"rcpt {ELI}": REFUSED, "data": [None, "354 go ahead"]}
    with FaultyServer(script) as server:
        assert delivered(server, DEE, ELI, FAY) == [250, 550, 250]
        assert [one.rcpt_tos for one in server.messages] == [(DEE,), (FAY,)]
        assert "." not in server.commands


def test_an_error_ends_nothing_but_its_message() -> None:
    script: Script = {"greeting": ["421 4.3.2 not yet"]}
    with FaultyServer(script) as server, mailer_for(server).connect() as connection:
        ends = connection.deliver([outgoing(message_to(to), to) for to in (DEE, ELI)])
        assert [isinstance(error, MailError) for _, error in ends] == [True, False]
