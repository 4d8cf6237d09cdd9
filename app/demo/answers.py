"""What a reader of the demo's mailbox can send back, as real messages to the real mail door."""

import smtplib
from datetime import datetime
from email import message_from_string
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from icalendar import Calendar, Component, Event, vCalAddress

from app import config
from app.demo.maildir import StoredMessage

TIMEOUT_S = 10
PARTSTATS = {"yes": "ACCEPTED", "maybe": "TENTATIVE", "no": "DECLINED"}
_LOOPBACK = "127.0.0.1"


def can_answer(stored: StoredMessage) -> bool:
    """Whether its calendar entry asks for a Yes or No."""
    text = _calendar_text(stored)
    return "RSVP=TRUE" in text.replace("\r\n ", "")


def calendar_answer(stored: StoredMessage, choice: str, now: datetime) -> EmailMessage:
    """As a calendar program sends it (RFC 6047). The email has an entry."""
    event = _event_of(stored)
    attendee = vCalAddress(str(event["ATTENDEE"]))
    attendee.params["PARTSTAT"] = PARTSTATS[choice]
    answer = Event()
    answer.add("uid", str(event["UID"]))
    answer.add("sequence", int(str(event["SEQUENCE"])))
    answer.add("dtstamp", now)
    answer.add("dtstart", event.decoded("DTSTART"))
    answer.add("organizer", event["ORGANIZER"])
    answer.add("attendee", attendee)
    calendar = Calendar()
    calendar.add("prodid", "-//Mindsum//Demo mailbox//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "REPLY")
    calendar.add_component(answer)
    organizer = str(event["ORGANIZER"]).partition(":")[2]
    said = choice.capitalize()
    message = _message(stored, organizer, f"{said}: {stored.message['Subject']}", now)
    message.set_content(f"{said}\n")
    content = calendar.to_ical().decode("utf-8")
    message.add_alternative(content, subtype="calendar", params={"method": "REPLY"})
    return message


def _event_of(stored: StoredMessage) -> Component:
    return Calendar.from_ical(_calendar_text(stored)).walk("VEVENT")[0]


def _calendar_text(stored: StoredMessage) -> str:
    """Empty where it has no calendar part."""
    parts = (p for p in stored.message.walk() if p.get_content_type() == "text/calendar")
    found = next(parts, None)
    return str(found.get_content()) if isinstance(found, EmailMessage) else ""


def reply(stored: StoredMessage, text: str, now: datetime) -> EmailMessage:
    """What was typed, above a quote of the email, as mail programs write it."""
    to = parseaddr(str(stored.message["Reply-To"]))[1]
    message = _message(stored, to, f"Re: {stored.message['Subject']}", now)
    first = str(stored.message["Message-ID"])
    message["In-Reply-To"] = first
    message["References"] = " ".join(filter(None, (stored.message["References"], first)))
    body = stored.message.get_body(("plain",))
    quoted = str(body.get_content()) if body is not None else ""
    quote = "\n".join(f"> {line}" for line in quoted.splitlines())
    message.set_content(f"{text}\n\nOn {now:%a, %d %b %Y}, Mindsum wrote:\n{quote}\n")
    return message


def bounce(stored: StoredMessage, now: datetime) -> EmailMessage:
    """A report that there is no such mailbox (RFC 3464)."""
    report = f"""\
From: Mail Delivery System <mailer-daemon@mail.example>
To: {stored.envelope_from}
Subject: Undelivered Mail Returned to Sender
Date: {format_datetime(now)}
Message-ID: <bounce-{now.timestamp()}@mail.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="bounce"

--bounce
Content-Type: text/plain

There is no such mailbox.
--bounce
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example

Final-Recipient: rfc822; {stored.envelope_to[0]}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user
--bounce--
"""
    return message_from_string(report, policy=SMTP)


def send(message: EmailMessage, sender: str) -> bool:
    """Hand it to the mail door, or to the demo's mail server; whether it was taken."""
    settings, to = config.current(), parseaddr(str(message["To"]))[1]
    is_ours = to.endswith(f"@{settings.inbound_domain}")
    port = settings.inbound_port if is_ours else settings.mail_port
    try:
        with smtplib.SMTP(_LOOPBACK, port, "localhost", timeout=TIMEOUT_S) as server:
            server.sendmail(sender, [to], message.as_bytes())
    except (OSError, smtplib.SMTPException):
        return False
    return True


def _message(stored: StoredMessage, to: str, subject: str, now: datetime) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = stored.envelope_to[0]
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = now
    message["Message-ID"] = f"<{now.timestamp()}-{stored.id[:20]}@mail.example>"
    return message
