"""What a mail server's refusal says of the email, the address and us: one table."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a refused email."""

    # Tried again by itself, for 24 hours.
    RETRY = "retry"
    # Kept for as long as we are refused; tried again when the pause ends.
    WAIT = "wait"
    # Failed for good.
    FAIL = "fail"


class AddressFault(StrEnum):
    """What a refusal says of the recipient's address."""

    # The server's status code proves that there is no such mailbox.
    DEAD = "dead"
    # Words say so; believed when they come twice.
    DOUBTED = "doubted"
    # This email did not get there; why is not clear.
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Reading:
    fate: Fate
    # None where the refusal is not about the recipient.
    address: AddressFault | None = None
    # Whether the refusal is about us, so that the recipient's domain is given a rest.
    pauses_domain: bool = False


LATER = Reading(Fate.RETRY)
SLOW_DOWN = Reading(Fate.RETRY, pauses_domain=True)
ABOUT_US = Reading(Fate.WAIT, pauses_domain=True)
ABOUT_MESSAGE = Reading(Fate.FAIL)
NO_MAILBOX = Reading(Fate.FAIL, AddressFault.DEAD)
DOUBTED = Reading(Fate.FAIL, AddressFault.DOUBTED)
REFUSED = Reading(Fate.FAIL, AddressFault.MISSED)

# RFC 3463; qmail and others write it in brackets at the end. Not a part of an IP address.
_STATUS = re.compile(r"(?<![\d.])[245]\.(\d{1,3}\.\d{1,3})(?!\.?\d)")
_DEAD = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "2.1"})
_FULL = frozenset({"2.2"})
# The sender's address, and its domain.
_SENDER = frozenset({"1.7", "1.8"})
# Message too large, content, protocol, and what SMTPUTF8 lacks.
_MESSAGE = re.compile(r"2\.3|3\.4|[56]\.\d+")


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# Limits on how much we send, or on how much the recipient gets from everybody.
_LIMITS = _words(
    r"too (?:many|much) (?:messages|mails?|e-?mails|recipients|connections|concurrent|requests)",
    r"slow(?:ing)? down", r"throttl", r"rate.?limit", r"unusual rate", r"sending rate",
    r"receiving mail (?:at a rate|too quickly)",
    r"(?:sending|send|recipient|message|mail|hourly|daily)\b.{0,20}\b(?:limit|quota)\b.{0,20}exceed",
    r"exceed\w*.{0,60}\b(?:per (?:second|minute|hour|day)|limit|rate|e-?mails|messages)\b",
    r"temporarily (?:deferred|rate)", r"sending (?:paused|too (?:fast|many|much))",
    r"not allowed to send",
    # Not the recipient's account.
    r"\b(?:outgoing|outbound|sending|sender|your (?:account|domain|mail|server|ip))\b"
    r".{0,60}\bsuspended",
)  # fmt: skip
# Our reputation, our right to send, how our mail is signed.
_US = _words(
    r"black.?list", r"block.?list", r"deny.?list", r"spamhaus|spamcop|barracudacentral|sorbs",
    r"\b(?:rbl|dnsbl)\b", r"(?<!not )\blisted (?:in|at|by|on)\b", r"\bblocked\b", r"\bbanned\b",
    r"\b(?:spf|dkim|dmarc)\b", r"\bspam", r"\bjunk", r"unsolicited", r"unauthenticated",
    r"reputation", r"anti.?spoof", r"\bpolic(?:y|ies)\b", r"reverse dns|\bptr\b|rdns",
    r"invalid dns", r"dns mx\b",
    r"sender (?:address )?(?:verif|reject|denied|unknown|not verified|is not)",
    r"verification failed for", r"sender verify", r"not verified", r"administrative prohibition",
    r"not authori[sz]ed", r"authentication (?:is )?required", r"client host",
)  # fmt: skip
# About one sender, recipient and server; it ends by itself within minutes.
_GREYLISTED = _words(r"gr[ae]y.?list")
_RELAY = _words(r"\brelay(?:ing)?\b(?!\.)", r"rcpthosts")
_OVER_QUOTA = _words(
    r"over.?quota", r"quota (?:is )?(?:exceeded|full)", r"exceeded .{0,30}(?:quota|storage)",
    r"mailbox (?:is )?(?:full|size limit)", r"(?:mailbox|inbox|storage).{0,20}\bfull\b",
    r"insufficient (?:system )?(?:storage|disk|resources)", r"disk full", r"out of storage",
)  # fmt: skip
_WHO = r"(?:user|mailbox|mail ?box|recipient|account|address|person|addressee|inbox)"
_NO_SUCH = _words(
    rf"no such {_WHO}", rf"no {_WHO} (?:here )?(?:by|with|of) (?:that|this) name",
    rf"(?:unknown|invalid|non-?existent|bad) (?:local )?{_WHO}",
    r"unrout(?:e)?able (?:mail )?(?:address|domain)", r"unknown local.?part",
    rf"{_WHO}\b.{{0,40}}\b(?:is |was |has been |isn.t |not )*(?:unknown|invalid|disabled"
    r"|deactivated|suspended|discontinued|closed|deleted|inactive|not found"
    r"|no longer (?:\w+ )?(?:exists?|available|active|valid|in use)"
    r"|(?:does not|doesn.t|did not) exist|not exist)",
    r"doesn.t have an? .{0,30}account", r"no longer (?:works|employed) here",
    r"\b(?:is|are) unknown\b", r"not listed in .{0,30}(?:directory|address book)",
)  # fmt: skip


def read_refusal(code: int, text: str) -> Reading:
    """What a 4xx or 5xx reply to a recipient or to a message means.

    `text` is the reply without its code; addresses may be left out of it.
    """
    found = _STATUS.search(text)
    status = found[1] if found else ""
    is_full = status in _FULL or bool(_OVER_QUOTA.search(text))
    is_limit = bool(_LIMITS.search(text)) and not is_full
    is_about_us = is_limit or bool(_US.search(text))
    if code // 100 != 5:
        return SLOW_DOWN if is_about_us and not _GREYLISTED.search(text) else LATER
    rules = (
        (is_full, LATER),
        # Before the codes: the reason given for a sender that could not be verified often repeats
        # another server's "5.1.1 unknown user" about our own address.
        (is_about_us or status in _SENDER or status.startswith("7."), ABOUT_US),
        (status in _DEAD, NO_MAILBOX),
        (_RELAY.search(text), ABOUT_US),
        (_MESSAGE.fullmatch(status), ABOUT_MESSAGE),
        (_NO_SUCH.search(text), DOUBTED),
    )
    return next((reading for holds, reading in rules if holds), REFUSED)
