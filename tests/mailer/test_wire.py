"""What goes over the wire: one message to one address, whatever they contain."""

from email.message import Message

import pytest

from app.config import Settings
from app.mailer import MailRefused
from emails.addresses import sender_mailbox
from tests.harness.mail_sending import DEE, SENDER, body_of, deliver, mailer_for, message_to
from tests.harness.smtp_server import FaultyServer, MailServer


def test_a_message_arrives_as_it_was_written() -> None:
    message = message_to(body=".a dot\n..two\nFrom here\nfin.\n")
    with MailServer() as server, mailer_for(server).connect() as connection:
        deliver(connection, message, DEE)
        (taken,) = server.wait_for(1)
    assert (taken.envelope_from, taken.rcpt_tos) == (SENDER, (DEE,))
    assert taken.raw == message.as_bytes()
    assert body_of(taken) == ".a dot\n..two\nFrom here\nfin.\n"


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
            deliver(connection, message_to(), recipient)
        assert (raised.value.scope, raised.value.code) == ("recipient", None)
        assert server.connections == 0


@pytest.mark.parametrize("recipient", ["dee+1@example.org", '"dee d"@example.org', "o'dee@x_y.org"])
def test_unusual_addresses_are_served(recipient: str) -> None:
    with MailServer() as server, mailer_for(server).connect() as connection:
        deliver(connection, message_to(recipient), recipient)
        assert server.wait_for(1)[0].rcpt_tos == (recipient,)


def test_a_message_with_a_nul_is_refused() -> None:
    message = message_to()
    Message.set_payload(message, "a\0b")
    with FaultyServer() as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailRefused) as raised:
            deliver(connection, message, DEE)
        assert raised.value.scope == "message"
        assert server.connections == 0


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_dots_smuggle_no_second_message(end: str) -> None:
    message = message_to()
    smuggled = ["one", ".", "MAIL FROM:<stranger@example.org>", "..", "two"]
    Message.set_payload(message, end.join(smuggled))
    with MailServer() as server, mailer_for(server).connect() as connection:
        deliver(connection, message, DEE)
        (taken,) = server.wait_for(1)
    assert body_of(taken).split() == " ".join(smuggled).split()


def test_an_address_beyond_ascii_goes_by_smtputf8_where_it_is_offered() -> None:
    to = "дели@example.org"
    with MailServer() as server, mailer_for(server).connect() as connection:
        deliver(connection, message_to(to), to)
        deliver(connection, message_to(), DEE)
        first, second = server.wait_for(2)
        assert first.rcpt_tos == (to,)
        assert first.parsed["To"].addresses[0].addr_spec == to
        assert second.rcpt_tos == (DEE,)


def test_an_address_beyond_ascii_is_refused_for_good_where_it_is_not_offered() -> None:
    to = "дели@example.org"
    with MailServer(takes_utf8=False) as server, mailer_for(server).connect() as connection:
        with pytest.raises(MailRefused, match="SMTPUTF8") as raised:
            deliver(connection, message_to(to), to)
        assert raised.value.scope == "recipient"
        deliver(connection, message_to(), DEE)
        assert len(server.wait_for(1)) == 1
        assert server.connections == 1


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("bookings@mindsum.example", "bookings@mindsum.example"),
        ("<bookings@localhost>", "bookings@localhost"),
        ("Mindsum <Bookings@Mindsum.EXAMPLE>", "Bookings@mindsum.example"),
        ('"Mindsum, Ltd" <bookings+1@mind_sum.example>', "bookings+1@mind_sum.example"),
        ("Grüße <bookings@straße.example>", "bookings@xn--strae-oqa.example"),
        ("bookings@xn--n3h.example", "bookings@xn--n3h.example"),
        ("Grüße <grüße@mindsum.example>", "grüße@mindsum.example"),
        (f"{'b' * 64}@{'a.' * 94}b", f"{'b' * 64}@{'a.' * 94}b"),
    ],
)
def test_a_sender_that_the_settings_take_can_send_and_the_envelope_names_it(
    setting: str, address: str
) -> None:
    sender = Settings(mail_default_sender=setting).mail_default_sender
    with FaultyServer() as server:
        with mailer_for(server, MAIL_DEFAULT_SENDER=sender).connect() as connection:
            deliver(connection, message_to(), DEE)
        assert server.messages[0].envelope_from == address
    assert sender_mailbox("sender", sender).addr_spec == address


def test_an_international_domain_needs_no_smtputf8() -> None:
    with FaultyServer(offers=()) as server, mailer_for(server).connect() as connection:
        deliver(connection, message_to(), "dee@straße.example")
        assert server.messages[0].rcpt_tos == ("dee@xn--strae-oqa.example",)


def test_options_are_used_only_where_offered_and_needed() -> None:
    with FaultyServer() as server, mailer_for(server).connect() as connection:
        deliver(connection, message_to(), DEE)
        deliver(connection, message_to(body="Grüße\n"), DEE)
        plain, eight_bit = (one for one in server.commands if one.startswith("MAIL"))
        assert "SMTPUTF8" not in plain + eight_bit
        assert ("BODY=8BITMIME" in plain, "BODY=8BITMIME" in eight_bit) == (False, True)
        assert f"SIZE={len(server.messages[0].raw)}" in plain
    with FaultyServer(offers=()) as server, mailer_for(server).connect() as connection:
        deliver(connection, message_to(), DEE)
        assert f"MAIL FROM:<{SENDER}>" in server.commands
