"""Sixty replies of mail servers, and what each says of the email, the address and us."""

from collections import Counter

import pytest

from app.mailer import MailBlocked, MailDeferred, MailError, MailRefused, MailUnwelcome
from app.mailer.outcomes import Stage, error_from_reply
from app.mailer.replies import AddressFault
from tests.harness.every import for_every

# Whose shape, at which stage, the reply; then what becomes of the email (retry: tried again for
# 24 hours; wait: kept until we are taken again; fail), what it says of the address, what it pauses.
REPLIES: list[tuple[str, Stage, str, str, str, str]] = [
    # The mailbox is gone: the code says so.
    ("Postfix", "recipient", "550 5.1.1 <dee@a.example>: Recipient address rejected: User unknown "
     "in virtual mailbox table", "fail", "dead", ""),
    ("Postfix relay table", "recipient", "550 5.1.1 User unknown in relay recipient table",
     "fail", "dead", ""),
    ("Gmail", "recipient", "550-5.1.1 The email account that you tried to reach does not exist. "
     "Please try double-checking the address", "fail", "dead", ""),
    ("Exchange Online", "recipient", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not "
     "found by SMTP address lookup", "fail", "dead", ""),
    ("Exchange, disabled", "recipient", "550 5.2.1 Mailbox disabled, not accepting messages",
     "fail", "dead", ""),
    ("Exchange, moved", "recipient", "551 5.1.6 Recipient has moved, no forwarding address",
     "fail", "dead", ""),
    ("null MX", "recipient", "556 5.1.10 Recipient address has a null MX", "fail", "dead", ""),
    ("bad domain", "recipient", "550 5.1.2 Host or domain name not found", "fail", "dead", ""),
    ("bad syntax", "recipient", "501 5.1.3 Bad recipient address syntax", "fail", "dead", ""),
    ("qmail", "recipient", "511 sorry, no mailbox here by that name (#5.1.1 - chkuser)",
     "fail", "dead", ""),
    ("Proofpoint", "recipient", "550 5.1.1 <dee@a.example>... User unknown", "fail", "dead", ""),
    ("LMTP after the content", "content", "550 5.1.1 User doesn't exist: dee@a.example",
     "fail", "dead", ""),
    # Words alone.
    ("Exim", "recipient", "550 Unrouteable address", "fail", "doubted", ""),
    ("Exim, callout", "recipient", "550 Unknown user", "fail", "doubted", ""),
    ("Yahoo", "content", "554 delivery error: dd This user doesn't have a mail.example account "
     "(dee@a.example) [0] - mta1", "fail", "doubted", ""),
    ("Yahoo, closed", "content", "554 delivery error: dd Sorry, your message cannot be delivered. "
     "This mailbox is disabled (554.30)", "fail", "doubted", ""),
    ("cPanel", "recipient", "550 No Such User Here", "fail", "doubted", ""),
    ("iCloud", "recipient", "550 user does not exist", "fail", "doubted", ""),
    ("mail.example", "recipient", "550 Message was not accepted -- invalid mailbox. Local mailbox "
     "is unavailable: user not found", "fail", "doubted", ""),
    ("Domino", "recipient", "550 User dee (dee@a.example) not listed in Domino Directory",
     "fail", "doubted", ""),
    ("account suspended", "recipient", "550 This account has been suspended", "fail", "doubted",
     ""),
    ("Exchange, suspended", "recipient", "550 5.2.1 The mailbox is suspended", "fail", "dead", ""),
    # Refused for good, and nothing is proved.
    ("bare", "recipient", "550 No", "fail", "missed", ""),
    ("edge blocking", "recipient", "550 5.4.1 Recipient address rejected: Access denied. AS(2018)",
     "fail", "missed", ""),
    ("generic", "recipient", "550 Requested action not taken: mailbox unavailable",
     "fail", "missed", ""),
    ("IronPort", "recipient", "550 #5.1.0 Address rejected.", "fail", "missed", ""),
    # Not now.
    ("Postfix greylisting", "recipient", "450 4.2.0 <dee@a.example>: Recipient address rejected: "
     "Greylisted, see http://grey.example/a", "retry", "", ""),
    ("greylisting by policy", "recipient", "451 4.7.1 Greylisting in action, come back later",
     "retry", "", ""),
    ("Mimecast greylisting", "recipient", "451 Greylisted; retry in 60 s", "retry", "", ""),
    ("Postfix, unverified", "recipient", "450 4.1.1 <dee@a.example>: unverified address: "
     "connect timed out", "retry", "", ""),
    ("Exim", "recipient", "451 Temporary local problem - please try later", "retry", "", ""),
    ("full, temporary", "recipient", "452 4.2.2 Mailbox full", "retry", "", ""),
    ("full, Gmail", "recipient", "552-5.2.2 The email account that you tried to reach is over "
     "quota and inactive", "retry", "", ""),
    ("full, Exchange", "content", "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:Quota",
     "retry", "", ""),
    ("full, words", "recipient", "550 Mailbox quota exceeded / mailbox is full", "retry", "", ""),
    ("Exchange, back pressure", "content", "452 4.3.1 Insufficient system resources",
     "retry", "", ""),
    # About the message alone.
    ("too large", "content", "552 5.3.4 Message size exceeds fixed maximum", "fail", "", ""),
    ("content", "content", "554 5.6.0 Corrupt message content", "fail", "", ""),
    ("no recipients", "data", "554 5.5.1 Error: no valid recipients", "fail", "", ""),
    # Too much of us, for now.
    ("Gmail, rate", "recipient", "421-4.7.28 Our system has detected an unusual rate of mail",
     "retry", "", "domain"),
    ("Gmail, busy mailbox", "recipient", "450-4.2.1 The user you are trying to contact is receiving"
     " mail at a rate that prevents additional messages", "retry", "", "domain"),
    ("Yahoo, deferral", "content", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred",
     "retry", "", "domain"),
    ("SES", "content", "454 Throttling failure: Maximum sending rate exceeded.",
     "retry", "", "domain"),
    # About us: the address is good as far as anybody knows.
    ("cPanel, limit", "recipient", "550 Domain mindsum.example has exceeded the max emails per hour"
     " (101/100 (101%)) allowed. Message discarded.", "wait", "", "domain"),
    ("a limit", "recipient", "550 Too many messages, slow down", "wait", "", "domain"),
    ("Gmail, 5.2.1", "recipient", "550-5.2.1 The user you are trying to contact is receiving mail "
     "too quickly", "wait", "", "domain"),
    ("Gmail as a relay", "content", "550-5.4.5 Daily user sending limit exceeded.",
     "wait", "", "domain"),
    ("Mailgun", "content", "550 5.7.1 Domain mg.example is not allowed to send: recipient limit "
     "exceeded", "wait", "", "domain"),
    ("black list", "recipient", "550 your address 192.0.2.1 is listed in a black list",
     "wait", "", "domain"),
    ("Spamhaus", "recipient", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using"
     " zen.spamhaus.org", "wait", "", "domain"),
    ("Spamhaus under 5.1.1", "recipient", "550 5.1.1 rejected, 192.0.2.1 found on a DNSBL",
     "wait", "", "domain"),
    ("SPF", "recipient", "550 SPF check failed", "wait", "", "domain"),
    ("Gmail, unsigned", "content", "550-5.7.26 This mail is unauthenticated", "wait", "", "domain"),
    ("Exim, sender verify", "recipient", "550-Verification failed for <b@mindsum.example>\n"
     "Called: 192.0.2.9\nSent: RCPT TO:<b@mindsum.example>\nResponse: 550 5.1.1 unknown user\n"
     "Sender verify failed", "wait", "", "domain"),
    ("Exim, prohibition", "recipient", "550 Administrative prohibition", "wait", "", "domain"),
    ("Exchange Online, address", "recipient", "550 5.7.511 Access denied, banned sender",
     "wait", "", "domain"),
    ("Mimecast", "content", "554 Email rejected due to security policies", "wait", "", "domain"),
    ("Proofpoint, address", "recipient", "554 Blocked - see https://ipcheck.example/?ip=192.0.2.1",
     "wait", "", "domain"),
    ("Yahoo, policy", "content", "554 5.7.9 Message not accepted for policy reasons",
     "wait", "", "domain"),
    ("SES, sandbox", "content", "554 Message rejected: Email address is not verified.",
     "wait", "", "domain"),
    ("relay", "recipient", "554 5.4.0 <dee@a.example>: Relay access denied", "wait", "", "domain"),
    ("qmail, relay", "recipient", "553 sorry, that domain isn't in my list of allowed rcpthosts "
     "(#5.7.1)", "wait", "", "domain"),
    ("our domain has no DNS", "recipient", "550-Requested action not taken: mailbox unavailable\n"
     "invalid DNS MX or A/AAAA resource record", "wait", "", "domain"),
    ("our sender, syntax", "recipient", "553 5.1.7 The sender's address was syntactically invalid",
     "wait", "", "domain"),
    ("our sender, domain", "recipient", "550 5.1.8 Sender address rejected: Domain not found",
     "wait", "", "domain"),
    ("cPanel, suspended", "content", "550 Outgoing mail from b@mindsum.example has been suspended",
     "wait", "", "domain"),
    ("too fast", "recipient", "550 You are sending too fast", "wait", "", "domain"),
    # Our own relay refuses us.
    ("greeting", "greeting", "554 Your access has been rejected due to poor reputation",
     "wait", "", "queue"),
    ("login", "login", "535 5.7.8 Authentication credentials invalid", "wait", "", "queue"),
    ("SendGrid, credits", "sender", "550 5.7.1 Maximum credits exceeded", "wait", "", "queue"),
]  # fmt: skip


def read(error: MailError) -> tuple[str, str, str]:
    """What an error means for email, address and pauses, in the words of the table."""
    match error:
        case MailBlocked():
            return "wait", "", "queue"
        case MailUnwelcome():
            return "wait", "", "domain"
        case MailDeferred():
            return "retry", "", "domain" if error.pauses_domain else ""
        case MailRefused():
            return "fail", str(error.address or ""), ""
    raise AssertionError(repr(error))


@for_every(REPLIES)
def test_each_reply_says_what_the_table_says(
    server: str, stage: Stage, reply: str, email: str, address: str, pauses: str
) -> None:
    code, text = int(reply[:3]), reply[4:]
    error = error_from_reply(stage, code, text, ("dee@a.example", "dee"))
    assert read(error) == (email, address, pauses)


def test_the_table_has_every_consequence_and_sixty_replies() -> None:
    kinds = Counter(row[3:] for row in REPLIES)
    assert len(REPLIES) >= 60
    assert {address for _, address, _ in kinds} == {"", *map(str, AddressFault)}
    assert {pauses for _, _, pauses in kinds} == {"", "domain", "queue"}


@pytest.mark.parametrize(
    "reply",
    [
        "mail from 192.5.1.1 is refused",
        "5.1.15 something new",
        "5.7.1 5.1.1 both",
        "we know 15.1.1 nothing",
    ],
)
def test_only_a_whole_status_code_at_its_first_place_proves_a_dead_mailbox(reply: str) -> None:
    error = error_from_reply("recipient", 550, reply)
    assert getattr(error, "address", None) is not AddressFault.DEAD


def test_words_beyond_the_part_that_is_kept_are_read_too() -> None:
    reply = "5.1.1 " + "a callout to our own address said: unknown; " * 6 + "Sender verify failed"
    error = error_from_reply("recipient", 550, reply)
    assert isinstance(error, MailUnwelcome)
    assert len(error.reason) <= 200
