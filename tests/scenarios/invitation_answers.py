"""Answers to invitations as calendar programs write them; all of them synthetic."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from tests.scenarios.mailbox import crlf

STAMP = "20261102T092000Z"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A calendar answer: who says what to which invitation."""

    to: str
    sender: str = "asha@therapists.example"
    uid: str
    partstat: str = "ACCEPTED"
    sequence: int = 0
    stamp: str = STAMP
    method: str = "REPLY"
    comment: str = ""
    attendee: str = ""
    message_id: str = "<answer-1@mail.example>"

    @property
    def invited(self) -> str:
        return self.attendee or self.sender


def fold(line: str) -> str:
    """As RFC 5545 asks: no line above 75 octets."""
    pieces = [line[:74]]
    pieces += [line[at : at + 73] for at in range(74, len(line), 73)]
    return "\n ".join(pieces)


def google_event(of: Answer) -> str:
    note = f';X-RESPONSE-COMMENT="{of.comment}"' if of.comment else ""
    attendee = fold(
        f"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT={of.partstat};CN=Asha"
        f";X-NUM-GUESTS=0{note}:mailto:{of.invited}"
    )
    return f"""BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
VERSION:2.0
CALSCALE:GREGORIAN
METHOD:{of.method}
BEGIN:VEVENT
DTSTART:20261104T100000Z
DTEND:20261104T105000Z
DTSTAMP:{of.stamp}
{fold(f"ORGANIZER;CN=Mindsum:mailto:{of.to.lower()}")}
UID:{of.uid}
{attendee}
SEQUENCE:{of.sequence}
STATUS:CONFIRMED
SUMMARY:Session
END:VEVENT
END:VCALENDAR
"""


def google(of: Answer, *, announced: str | None = None, extra: str = "") -> bytes:
    method = of.method if announced is None else announced
    attached = b64encode(b"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nEND:VCALENDAR\r\n").decode()
    return crlf(f"""
Return-Path: <3AbC.DeF@calendar-server.bounces.google.com>
MIME-Version: 1.0
Reply-To: {of.sender}
Sender: Google Calendar <calendar-notification@google.com>
Auto-Submitted: auto-generated
Message-ID: {of.message_id}
Date: Mon, 02 Nov 2026 09:20:00 +0000
Subject: Accepted: Session @ Wed Nov 4, 2026 10am - 10:50am (GMT) (Mindsum)
From: {of.sender}
To: Mindsum <{of.to}>
{extra}Content-Type: multipart/mixed; boundary="m1"

--m1
Content-Type: multipart/alternative; boundary="a1"

--a1
Content-Type: text/plain; charset="UTF-8"; format=flowed; delsp=yes
Content-Transfer-Encoding: base64

QXNoYSBoYXMgYWNjZXB0ZWQgdGhpcyBpbnZpdGF0aW9uLg==
--a1
Content-Type: text/calendar; charset="UTF-8"; method={method}
Content-Transfer-Encoding: 7bit

{google_event(of)}
--a1--
--m1
Content-Type: application/ics; name="invite.ics"
Content-Disposition: attachment; filename="invite.ics"
Content-Transfer-Encoding: base64

{attached}
--m1--
""")


def exchange(of: Answer) -> bytes:
    note = f"COMMENT;LANGUAGE=fr-FR:{of.comment}\\n"
    event = f"""BEGIN:VCALENDAR
METHOD:{of.method}
PRODID:Microsoft Exchange Server 2010
VERSION:2.0
BEGIN:VTIMEZONE
TZID:GMT Standard Time
BEGIN:STANDARD
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0000
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
ATTENDEE;PARTSTAT={of.partstat};CN=Asha:MAILTO:{of.invited.title()}
{note}
UID:{of.uid}
SUMMARY;LANGUAGE=fr-FR:Accepté : Session
DTSTART;TZID=GMT Standard Time:20261104T100000
DTEND;TZID=GMT Standard Time:20261104T105000
CLASS:PRIVATE
DTSTAMP:{of.stamp}
STATUS:CONFIRMED
SEQUENCE:{of.sequence}
X-MICROSOFT-CDO-APPT-SEQUENCE:{of.sequence}
END:VEVENT
END:VCALENDAR
"""
    return crlf(f"""
From: Asha <{of.sender}>
To: "{of.to}" <{of.to}>
Subject: =?utf-8?Q?Accept=C3=A9=C2=A0:_Session?=
Date: Mon, 2 Nov 2026 09:20:00 +0000
Message-ID: {of.message_id}
Content-Type: multipart/alternative; boundary="_000_o_"
MIME-Version: 1.0

--_000_o_
Content-Type: text/plain; charset="windows-1252"
Content-Transfer-Encoding: quoted-printable


--_000_o_
Content-Type: text/calendar; charset="utf-8"; method={of.method}
Content-Transfer-Encoding: 8bit

{event}
--_000_o_--
""")


def thunderbird(of: Answer) -> bytes:
    event = google_event(of).replace("Google Inc//Google Calendar 70.9054", "Mozilla.org/V1.1")
    return crlf(f"""
Message-ID: {of.message_id}
MIME-version: 1.0
From: {of.sender}
To: {of.to}
Subject: Invitation Reply (Accepted): Session
content-type: multipart/mixed; boundary="Boundary_(ID_qyG4ZdjoAsiZ+Jo19dCbWQ)"

--Boundary_(ID_qyG4ZdjoAsiZ+Jo19dCbWQ)
Content-type: multipart/alternative; boundary="Boundary_(ID_ryU4ZdJoASiZ+Jo21dCbwA)"

--Boundary_(ID_ryU4ZdJoASiZ+Jo21dCbwA)
Content-type: text/plain; charset=UTF-8
Content-transfer-encoding: 8BIT

Asha has accepted your event invitation.
--Boundary_(ID_ryU4ZdJoASiZ+Jo21dCbwA)
Content-type: text/calendar; method={of.method}; charset=UTF-8
Content-transfer-encoding: 8BIT

{event}
--Boundary_(ID_ryU4ZdJoASiZ+Jo21dCbwA)--
--Boundary_(ID_qyG4ZdjoAsiZ+Jo19dCbWQ)
Content-type: application/ics; name=invite.ics
Content-transfer-encoding: 8BIT
Content-disposition: attachment; filename=invite.ics

{event}
--Boundary_(ID_qyG4ZdjoAsiZ+Jo19dCbWQ)--
""")


def bare(of: Answer) -> bytes:
    """A calendar as the whole message, without a multipart."""
    return crlf(f"""
Message-ID: {of.message_id}
From: {of.sender}
To: {of.to}
Subject: Re: Session
MIME-Version: 1.0
Content-Type: text/calendar; charset=utf-8
Content-Transfer-Encoding: base64

{b64encode(crlf(google_event(of))).decode()}
""")


def attached(of: Answer) -> bytes:
    """Only an attachment that calls itself a stream of bytes."""
    return crlf(f"""
Message-ID: {of.message_id}
From: {of.sender}
To: {of.to}
Subject: Accepted: Session
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain

Mr. Test has accepted the invitation to the following event
--x
Content-Type: application/octet-stream; name="reply.ics"
Content-Disposition: attachment; filename="reply.ics"
Content-Transfer-Encoding: base64

{b64encode(crlf(google_event(of))).decode()}
--x--
""")


def nextcloud(of: Answer) -> bytes:
    """The note stands twice, in a parameter and in a property."""
    note = f"COMMENT:{of.comment}\n" if of.comment else ""
    event = google_event(of).replace("X-NUM-GUESTS=0", "X-NUM-GUESTS=7")
    event = event.replace("Google Inc//Google Calendar 70.9054", "Sabre//Sabre VObject 4.5.4")
    event = event.replace("STATUS:", f"{note}REQUEST-STATUS:2.0;Success\nSTATUS:")
    return alternative(of, "Asha accepted your invitation", event)


def mailspring(of: Answer) -> bytes:
    event = crlf(google_event(of))
    return alternative(of, "Asha has accepted", b64encode(event).decode(), "base64", "inline")


def cyrus(of: Answer) -> bytes:
    """Fastmail's, with a length instead of an end."""
    event = google_event(of).replace("DTEND:20261104T105000Z", "DURATION:PT50M")
    event = event.replace("Google Inc//Google Calendar 70.9054", "Fastmail/2020.5")
    return alternative(of, "Asha accepted this event", event)


def horde(of: Answer) -> bytes:
    text = "Mr. Test has accepted the invitation to the following event"
    return alternative(of, text, google_event(of))


def alternative(
    of: Answer, text: str, event: str, encoding: str = "8bit", disposition: str = ""
) -> bytes:
    placed = f"Content-Disposition: {disposition}\n" if disposition else ""
    return crlf(f"""
Message-ID: {of.message_id}
From: Asha <{of.sender}>
To: {of.to}
Subject: Re: Session
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="n"

--n
Content-Type: text/plain; charset=UTF-8

{text}
--n
Content-Type: text/calendar; charset=UTF-8; method={of.method}
{placed}Content-Transfer-Encoding: {encoding}

{event}
--n--
""")


def signed(of: Answer) -> bytes:
    """An answer within S/MIME's multipart/signed, which nobody checks here."""
    return crlf(f"""
Message-ID: {of.message_id}
From: {of.sender}
To: {of.to}
Subject: Accepted: Session
MIME-Version: 1.0
Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary="s"

--s
Content-Type: text/calendar; charset=utf-8; method={of.method}

{google_event(of)}
--s
Content-Type: application/pkcs7-signature; name="smime.p7s"
Content-Transfer-Encoding: base64

AAAA
--s--
""")


def forwarded(of: Answer) -> bytes:
    """An answer within an email that somebody forwards."""
    inner = google(of).decode()
    return crlf(f"""
Message-ID: {of.message_id}
From: {of.sender}
To: {of.to}
Subject: Fwd: Accepted: Session
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="f"

--f
Content-Type: text/plain

Look what came.
--f
Content-Type: message/rfc822

{inner}
--f--
""")


PROGRAMS: dict[str, Callable[[Answer], bytes]] = {
    "google": google,
    "exchange": exchange,
    "thunderbird": thunderbird,
    "nextcloud": nextcloud,
    "mailspring": mailspring,
    "cyrus": cyrus,
    "horde": horde,
    "bare": bare,
    "attached": attached,
}


def two_events(of: Answer) -> bytes:
    return google(of).replace(
        b"END:VCALENDAR\r\n\r\n--a1--",
        b"BEGIN:VEVENT\r\nUID:other\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n\r\n--a1--",
    )


def one_of_many(of: Answer) -> bytes:
    return google(of).replace(b"STATUS:", b"RECURRENCE-ID:20261104T100000Z\r\nSTATUS:")


def of_many(of: Answer, count: int = 200) -> bytes:
    others = "".join(
        f"ATTENDEE;PARTSTAT=DECLINED:mailto:other{n}@example.org\r\n" for n in range(count)
    )
    return google(of).replace(b"UID:", others.encode() + b"UID:")


# What answers our invitation in a way that is not acted on.
NOT_PLAIN: dict[str, Callable[[Answer], bytes]] = {
    "signed": signed,
    "two_events": two_events,
    "one_of_many": one_of_many,
    "of_many": of_many,
}
