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
    headers: str = ""


def report(of: Refusal) -> bytes:
    """RFC 3464, as Postfix, Sendmail, Exchange and most others write it."""
    diagnostic = f"Diagnostic-Code: {of.diagnostic}\n" if of.diagnostic else ""
    return crlf(f"""
Return-Path: <>
Message-ID: {of.message_id}
From: MAILER-DAEMON@mx.example (Mail Delivery System)
To: {of.to}
Subject: {of.subject}
Auto-Submitted: auto-replied
{of.headers}MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.
--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
Arrival-Date: Mon,  2 Nov 2026 09:05:00 +0000 (UTC)

Final-Recipient: rfc822; {of.final or of.recipient}
Original-Recipient: rfc822;{of.recipient}
Action: {of.action}
Status: {of.status}
{diagnostic}
--b1
Content-Type: text/rfc822-headers

Message-ID: <1f9656ec7e61c71d79bb2b0187@bookings.mindsum.example>
Subject: Session request, Tue 3 Nov 14:00
--b1--
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
    ),
    "exim": Shape(exim, {"diagnostic": "550 5.1.1 Unknown user"}, "bounced", "dead"),
    "exim_words": Shape(exim, {"diagnostic": "550 No such user here"}, "bounced", "doubted"),
    "exim_policy": _status("5.0.0", "554 5.7.1 Spf check: fail", "bounced_by_policy", None),
    "workspace_full": _status(
        "5.2.2", "552-5.2.2 The recipient's inbox is out of storage", "bounced", "missed"
    ),
    "auth_google": _status("5.7.26", "550-5.7.26 unauthenticated", "bounced_by_policy", None),
    "auth_microsoft": _status("5.7.509", "550 5.7.509 Access denied", "bounced_by_policy", None),
    "block_list": _status("5.7.606", "550 5.7.606 banned sending IP", "bounced_by_policy", None),
    "yahoo_deferred": _status(
        "4.7.0", "421 4.7.0 [TSS04] temporarily deferred", "bounced_by_policy", None
    ),
    "exchange": _status(
        "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", "bounced", "dead"
    ),
    "exchange_full": _status("5.2.2", "554 5.2.2 mailbox full; STOREDRV", "bounced", "missed"),
    "exchange_too_large": _status("5.2.3", "550 5.2.3 RST.RecipSizeLimit", "bounced", None),
    "exchange_needs_login": _status(
        "5.7.1", "550 5.7.1 RESOLVER.RST.AuthenticationRequired", "bounced_by_policy", None
    ),
    "exchange_expired": _status("4.4.7", "550 4.4.7 QUEUE.Expired; expired", "bounced", "missed"),
    "localised": _status("5.1.1", "", "bounced", "dead", subject="Non remis : Session"),
    "outlook_domain": _status("5.5.0", "550 5.5.0 domain not reachable", "bounced", None),
    "qmail": Shape(
        qmail, {"diagnostic": "550 5.1.1 no mailbox here by that name (#5.1.1)"}, "bounced", "dead"
    ),
    "ses": _status("5.0.0 (permanent failure)", "", "bounced", "doubted"),
    "icloud": _status("5.1.1", "550 5.1.1 <x@privaterelay.appleid.com>: no", "bounced", "dead"),
}  # fmt: skip
