"""How handing a message over can fail: one typed error for every reply, silence or lost line."""

import re
import smtplib
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal

from app.mailer.replies import ABOUT_MESSAGE, REFUSED, AddressFault, Fate, Reading, read_refusal

Stage = Literal[
    "settings", "message", "connect", "tls", "greeting", "hello", "login",
    "sender", "recipient", "data", "content",
]  # fmt: skip
Scope = Literal["recipient", "message"]

NOT_ALLOWED_IN = frozenset({530, 534, 535, 538})

_BEFORE_ANY_MESSAGE = frozenset({"connect", "tls", "greeting", "hello", "login"})
_WITH_A_RECIPIENT = frozenset({"recipient", "data", "content"})
_WITH_A_MESSAGE = _WITH_A_RECIPIENT | {"sender"}
# MAIL FROM states the message's size and form; the rest of it is the same for every message.
_ABOUT_ONE_MESSAGE = frozenset({552, 555})
# Addresses, links and tokens.
_PRIVATE = re.compile(r"\S*(?:@|://)\S*|\S{40,}")
# How much of a reply is kept.
_LINE = 200


class MailError(Exception):
    """The server has not taken the message, as far as is known."""

    def __init__(self, reason: str, *, stage: Stage, code: int | None = None) -> None:
        super().__init__(f"{stage}: {reason}" if code is None else f"{stage}: {code} {reason}")
        # One line that is safe to log: no address, link or secret.
        self.reason = reason
        self.stage = stage
        # The server's reply code, None where it gave none.
        self.code = code

    # Whether any other message would fail in the same way now.
    @property
    def is_about_server(self) -> bool:
        return False

    # Whether the server had let us in and was being given a message.
    @property
    def came_with_a_message(self) -> bool:
        return self.stage in _WITH_A_MESSAGE


class MailDeferred(MailError):
    """Try again later. Where no reply came after the whole message, the server may have it."""

    def __init__(
        self, reason: str, *, stage: Stage, code: int | None = None, reading: Reading | None = None
    ) -> None:
        super().__init__(reason, stage=stage, code=code)
        # Whether the recipient's domain finds that we send too much.
        self.pauses_domain = reading is not None and reading.pauses_domain

    @property
    def is_about_server(self) -> bool:
        return self.stage in _BEFORE_ANY_MESSAGE


class MailRefused(MailError):
    """Refused for good, because of what `scope` says."""

    def __init__(
        self,
        reason: str,
        *,
        stage: Stage,
        scope: Scope,
        code: int | None = None,
        address: AddressFault | None = None,
    ) -> None:
        super().__init__(reason, stage=stage, code=code)
        self.scope = scope
        # None where `scope` is the message.
        self.address = address


class MailUnwelcome(MailError):
    """Refused because of us: policy, reputation, limits. The email waits, its domain is paused."""


class MailBlocked(MailError):
    """The server does not let us in: nothing can be sent until ops changes the settings."""

    @property
    def is_about_server(self) -> bool:
        return True


class MailWithheld(MailError):
    """We stopped before the message was complete: the server has taken nothing."""


def error_from_reply(
    stage: Stage,
    code: int,
    reply: bytes | str,
    hide: tuple[str, ...] = (),
    *,
    names: Collection[str] = (),
    is_unlike_others: bool = False,
    advice: str = "",
) -> MailError:
    """The error for an unexpected reply; its reason leaves out the words of `hide` and `names`.

    It ends with `advice`.

    `names`: read as part of the reply, since somebody may be called "Unknown".
    `is_unlike_others`: the command asked for more than every message needs.
    """
    text = _safe_line(reply, hide)
    # Before it is cut, or half a name would stay.
    reason = (masked(text, names)[: _LINE - len(advice)] or "no reason given") + advice
    is_permanent = code // 100 == 5 and stage != "tls"
    is_about_one = stage == "sender" and (is_unlike_others or code in _ABOUT_ONE_MESSAGE)
    if code in NOT_ALLOWED_IN:
        return MailBlocked(reason, stage=stage, code=code)
    if code // 100 in (4, 5) and stage in _WITH_A_RECIPIENT:
        return _refusal(stage, code, reason, read_refusal(code, text))
    if not is_permanent:
        return MailDeferred(reason, stage=stage, code=code)
    if is_about_one:
        return MailRefused(reason, stage=stage, scope="message", code=code)
    return MailBlocked(reason, stage=stage, code=code)


def _refusal(stage: Stage, code: int, reason: str, reading: Reading) -> MailError:
    if reading == REFUSED and stage != "recipient":
        # Of the replies that name no fault, only one to RCPT is about the recipient.
        reading = ABOUT_MESSAGE
    match reading.fate:
        case Fate.RETRY:
            return MailDeferred(reason, stage=stage, code=code, reading=reading)
        case Fate.WAIT:
            return MailUnwelcome(reason, stage=stage, code=code)
    scope: Scope = "recipient" if reading.address else "message"
    return MailRefused(reason, stage=stage, scope=scope, code=code, address=reading.address)


@contextmanager
def mail_errors(stage: Stage, hide: tuple[str, ...] = ()) -> Iterator[None]:
    answered: Stage = "greeting" if stage == "connect" else stage
    try:
        yield
    except smtplib.SMTPResponseException as error:
        # A server's reply is bytes; a str is smtplib's own, after it hung up on an endless line.
        if isinstance(error.smtp_error, str):
            raise MailDeferred("the server hung up", stage=answered) from None
        raise error_from_reply(answered, error.smtp_code, error.smtp_error, hide) from None
    except smtplib.SMTPServerDisconnected as error:
        is_late = isinstance(error.__context__, TimeoutError)
        reason = "the server did not answer in time" if is_late else "the server hung up"
        raise MailDeferred(reason, stage=answered) from None
    except ssl.SSLCertVerificationError as error:
        reason = f"the server's certificate is not trusted ({error.verify_message})"
        raise MailDeferred(reason, stage="tls") from None
    except ssl.SSLError as error:
        raise MailDeferred(f"TLS failed ({error.reason})", stage="tls") from None
    except TimeoutError:
        raise MailDeferred("the server did not answer in time", stage=stage) from None
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "the server's name is not usable"
        raise MailDeferred(reason, stage=stage) from None


def masked(text: str, words: Collection[str]) -> str:
    """The text without these words, in whatever letter case."""
    # The longest first: one may be part of another.
    found = sorted(filter(None, words), key=len, reverse=True)
    if not found:
        return text
    pattern = "|".join(map(re.escape, found))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", "***", text, flags=re.IGNORECASE)


def _safe_line(reply: bytes | str, hide: tuple[str, ...]) -> str:
    text = masked(reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply, hide)
    shown = "".join(char if char.isprintable() else " " for char in _PRIVATE.sub("***", text))
    return " ".join(shown.split())
