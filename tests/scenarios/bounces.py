"""Reports of mail servers about emails that did not arrive; all of them synthetic."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.scenarios.mailbox import crlf


@dataclass(frozen=True, kw_only=True)
class Refusal:
    to: str
    recipient: str = "asha@therapists.example"
    final: str = ""
    action: str = "failed"
    status: str = "5.1.1"
    diagnostic: str = "smtp; 550 5.1.1 user unknown"
    message_id: str = "<bounce-1@mx.example>"
    subject: str = "Undelivered Mail Returned to Sender"
    submitted: str = "auto-replied"
    path: str = "<>"
    headers: str = ""
    server: str = "dns; mx.example"
    # A block of the report for another recipient, which comes first.
    other: str = ""


def report(of: Refusal) -> bytes:
    """RFC 3464, as Postfix, Sendmail, Exchange and most others write it."""
    return crlf(f"""
Return-Path: {of.path}
Message-ID: {of.message_id}
From: MAILER-DAEMON@mx.example (Mail Delivery System)
To: {of.to}
Subject: {of.subject}
Auto-Submitted: {of.submitted}
{of.headers}MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.
--b1
Content-Type: message/delivery-status

{status_of(of)}
--b1
Content-Type: text/rfc822-headers

Message-ID: <1f9656ec7e61c71d79bb2b0187@bookings.mindsum.example>
Subject: Session request, Tue 3 Nov 14:00
--b1--
""")


def status_of(of: Refusal) -> str:
    """A part message/delivery-status."""
    diagnostic = f"Diagnostic-Code: {of.diagnostic}\n" if of.diagnostic else ""
    return f"""Reporting-MTA: {of.server}
Arrival-Date: Mon,  2 Nov 2026 09:05:00 +0000 (UTC)

{of.other}Final-Recipient: rfc822; {of.final or of.recipient}
Original-Recipient: rfc822;{of.recipient}
Action: {of.action}
Status: {of.status}
{diagnostic}"""


def workspace(of: Refusal) -> bytes:
    """Google's, with a picture beside the text."""
    return crlf(f"""
Return-Path: <>
Message-ID: {of.message_id}
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: {of.to}
Auto-Submitted: auto-replied
Subject: Delivery Status Notification (Failure)
MIME-Version: 1.0
Content-Type: multipart/report; boundary="r"; report-type=delivery-status

--r
Content-Type: multipart/related; boundary="p"

--p
Content-Type: multipart/alternative; boundary="t"

--t
Content-Type: text/plain; charset="UTF-8"

** Address not found **
--t
Content-Type: text/html; charset="UTF-8"

<html><img src="cid:icon.png">Address not found</html>
--t--
--p
Content-Type: image/png; name="icon.png"
Content-Disposition: attachment; filename="icon.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--p--
--r
Content-Type: message/delivery-status

{status_of(of)}
--r
Content-Type: message/rfc822

Subject: Session request

--r--
""")


def exchange(of: Refusal) -> bytes:
    """Outlook's, with its text in two forms."""
    return crlf(f"""
Return-Path: <>
Message-ID: {of.message_id}
From: <postmaster@outlook.example>
To: {of.to}
Subject: {of.subject}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="r"

--r
Content-Type: multipart/alternative; boundary="t"

--t
Content-Type: text/plain; charset="us-ascii"

Your message couldn't be delivered.
--t
Content-Type: text/html; charset="us-ascii"

<html>Your message couldn't be delivered.</html>
--t--
--r
Content-Type: message/delivery-status

{status_of(of)}
--r
Content-Type: message/rfc822

Subject: Session request

--r--
""")


def old_gmail(of: Refusal) -> bytes:
    return crlf(f"""
Return-Path: <>
Message-ID: {of.message_id}
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: {of.to}
X-Failed-Recipients: {of.recipient}
Subject: Delivery Status Notification (Failure)
MIME-Version: 1.0
Content-Type: text/plain; charset=ISO-8859-1

Delivery to the following recipient failed permanently:

     {of.recipient}

Technical details of permanent failure:
The error that the other server returned was: {of.diagnostic}

----- Original message -----
""")


def exim(of: Refusal) -> bytes:
    """Words alone, with a field that names the recipient."""
    return crlf(f"""
Return-Path: <>
Message-ID: {of.message_id}
X-Failed-Recipients: {of.recipient}
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mx.example>
To: {of.to}
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {of.recipient}
    {of.diagnostic}

------ This is a copy of the message, including all the headers. ------
""")


def qmail(of: Refusal) -> bytes:
    return crlf(f"""
Return-Path: <>
Message-ID: {of.message_id}
From: MAILER-DAEMON@mx.example
To: {of.to}
Subject: failure notice

Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{of.recipient}>:
{of.diagnostic}

--- Below this line is a copy of the message.
""")


def complaint(of: Refusal, kind: str = "abuse") -> bytes:
    """A feedback loop's report (ARF); our envelope sender stands in what it returns."""
    return crlf(f"""
Message-ID: {of.message_id}
From: <fbl@provider.example>
To: complaints@in.example
Subject: FW: Session request
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="c1"

--c1
Content-Type: text/plain

This is an email abuse report.
--c1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <{of.to}>

--c1
Content-Type: message/rfc822

Return-Path: <{of.to}>
Subject: Dee, Wed 4 Nov 10:00

--c1--
""")


@dataclass(frozen=True)
class Shape:
    """What a server writes, and what must come of it."""

    write: Callable[[Refusal], bytes]
    fields: dict[str, str]
    outcome: str
    # Of the address: "dead", "doubted" (believed the second time), "missed", or none.
    address: str | None


def _status(status: str, said: str, outcome: str, address: str | None, **more: str) -> Shape:
    fields = {"status": status, "diagnostic": f"smtp; {said}" if said else "", **more}
    return Shape(report, fields, outcome, address)


SHAPES: dict[str, Shape] = {
    "postfix_unknown_user": _status("5.1.1", "550 5.1.1 User unknown", "bounced", "dead"),
    "postfix_expired": _status("4.4.1", "450 4.4.1 timed out", "bounced", "missed"),
    "postfix_delay": _status(
        "4.4.1", "", "delayed", None, action="delayed", subject="Delayed Mail (still being retried)"
    ),
    "postfix_forwarded": _status("5.1.1", "550 5.1.1 no", "bounced", "dead", final="x@new.example"),
    "postfix_no_host": Shape(
        report,
        {"status": "5.4.4", "diagnostic": "X-Postfix; Host or domain name not found"},
        "bounced",
        "doubted",
    ),
    "sendmail": _status(
        "5.1.1", "550 5.1.1 <x@y>... User unknown", "bounced", "dead",
        subject="Returned mail: see transcript for details",
        submitted="auto-generated (failure)", path="<MAILER-DAEMON@mx.example>",
    ),
    "sendmail_copy": _status(
        "5.1.1", "550 5.1.1 <x@y>... User unknown", "no_report", None,
        subject="Postmaster notify: see transcript for details",
        submitted="auto-generated (postmaster-notification)",
    ),
    "returned_to_a_loop": _status(
        "5.1.1", "550 5.1.1 User unknown", "no_report", None, headers="X-Loop: mx.example\n"
    ),
    "two_recipients": _status(
        "5.1.1", "550 5.1.1 User unknown", "bounced", "dead",
        other="Final-Recipient: rfc822; x@other.example\nAction: failed\nStatus: 4.4.1\n\n",
    ),
    "workspace": Shape(
        workspace,
        {"diagnostic": "smtp; 550-5.1.1 The email account that you tried to reach does not exist."},
        "bounced",
        "dead",
    ),
    "old_gmail": Shape(old_gmail, {"diagnostic": "550 550 5.1.1 No such user"}, "bounced", "dead"),
    "exim": Shape(exim, {"diagnostic": "550 5.1.1 Unknown user"}, "bounced", "dead"),
    "exim_words": Shape(exim, {"diagnostic": "550 No such user here"}, "bounced", "doubted"),
    "exim_policy": _status("5.0.0", "554 5.7.1 Spf check: fail", "bounced_by_policy", None),
    "workspace_full": _status(
        "5.2.2", "552-5.2.2 The recipient's inbox is out of storage", "bounced", "missed"
    ),
    "auth_google": _status("5.7.26", "550-5.7.26 unauthenticated", "bounced_by_policy", None),
    "auth_yahoo": _status("5.7.9", "554 5.7.9 Message not accepted", "bounced_by_policy", None),
    "auth_microsoft": _status("5.7.509", "550 5.7.509 Access denied", "bounced_by_policy", None),
    "block_list": _status("5.7.606", "550 5.7.606 banned sending IP", "bounced_by_policy", None),
    "yahoo_deferred": _status(
        "4.7.0", "421 4.7.0 [TSS04] temporarily deferred", "bounced_by_policy", None
    ),
    "exchange": Shape(
        exchange,
        {
            "status": "5.1.10",
            "diagnostic": "smtp; 550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found",
            "subject": "Undeliverable: Session",
        },
        "bounced",
        "dead",
    ),
    "exchange_full": _status("5.2.2", "554 5.2.2 mailbox full; STOREDRV", "bounced", "missed"),
    "exchange_too_large": _status("5.2.3", "550 5.2.3 RST.RecipSizeLimit", "bounced", None),
    "exchange_needs_login": _status(
        "5.7.1", "550 5.7.1 RESOLVER.RST.AuthenticationRequired", "bounced_by_policy", None
    ),
    "exchange_expired": _status("4.4.7", "550 4.4.7 QUEUE.Expired; expired", "bounced", "missed"),
    "french": _status("5.1.1", "", "bounced", "dead", subject="Non remis : Session"),
    "japanese": _status(
        "5.1.1", "", "bounced", "dead", subject="=?iso-2022-jp?B?GyRCRyQ/LjwiR1QbKEI=?="
    ),
    "yandex": _status(
        "5.1.1", "550 5.1.1 нет такого адреса", "bounced", "dead",
        subject="=?utf-8?B?0J3QtdC00L7RgdGC0LDQstC70LXQvdC90L7QtQ==?=",
    ),
    "outlook_domain": _status("5.5.0", "550 5.5.0 domain not reachable", "bounced", None),
    "qmail_words": Shape(
        qmail, {"diagnostic": "Sorry, no mailbox here by that name. (#5.1.1)"}, "bounced", "dead"
    ),
    "yahoo": Shape(
        qmail, {"diagnostic": "554: delivery error: dd This user doesn't have an account"},
        "bounced", "doubted",
    ),
    "qmail": Shape(
        qmail, {"diagnostic": "550 5.1.1 no mailbox here by that name (#5.1.1)"}, "bounced", "dead"
    ),
    "ses": _status(
        "5.0.0 (permanent failure)", "", "bounced", "doubted",
        server="dsn; a8-50.smtp-out.amazonses.com",
    ),
    "icloud": _status("5.1.1", "550 5.1.1 <x@privaterelay.appleid.com>: no", "bounced", "dead"),
}  # fmt: skip
