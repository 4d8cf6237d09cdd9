"""How handing a message over can fail: one typed error for every reply, silence or lost line."""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Stage = Literal[
    "settings", "message", "connect", "tls", "greeting", "hello", "login",
    "sender", "recipient", "data", "content",
]  # fmt: skip
Scope = Literal["recipient", "message"]

NOT_ALLOWED_IN = frozenset({530, 534, 535, 538})

_BEFORE_ANY_MESSAGE = frozenset({"connect", "tls", "greeting", "hello", "login"})
_WITH_A_MESSAGE = frozenset({"sender", "recipient", "data", "content"})
# MAIL FROM states the message's size and form; the rest of it is the same for every message.
_ABOUT_ONE_MESSAGE = frozenset({552, 555})
# Addresses, links and tokens.
_PRIVATE = re.compile(r"\S*(?:@|://)\S*|\S{40,}")
_POLICY_REPLY = re.compile(r"^5\.7\.\d|\brelay(?:ing)?\b(?!\.)", re.IGNORECASE)
_MAILBOX_REPLY = re.compile(r"5\.[12]\.\d")


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

    @property
    def is_about_server(self) -> bool:
        return self.stage in _BEFORE_ANY_MESSAGE


class MailRefused(MailError):
    """Refused for good, because of what `scope` says."""

    def __init__(self, reason: str, *, stage: Stage, scope: Scope, code: int | None = None) -> None:
        super().__init__(reason, stage=stage, code=code)
        self.scope = scope


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
    is_unlike_others: bool = False,
) -> MailError:
    """The error for an unexpected reply; its reason leaves out the words of `hide`.

    `is_unlike_others`: the command asked for more than every message needs.
    """
    reason = _safe_line(reply, hide)
    if code in NOT_ALLOWED_IN:
        return MailBlocked(reason, stage=stage, code=code)
    if code // 100 != 5 or stage == "tls":
        return MailDeferred(reason, stage=stage, code=code)
    is_about_one = is_unlike_others or code in _ABOUT_ONE_MESSAGE
    if stage in _BEFORE_ANY_MESSAGE or (stage == "sender" and not is_about_one):
        return MailBlocked(reason, stage=stage, code=code)
    scope: Scope = "recipient" if _is_about_address(stage, reason) else "message"
    return MailRefused(reason, stage=stage, scope=scope, code=code)


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


def _safe_line(reply: bytes | str, hide: tuple[str, ...]) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    for private in filter(None, hide):
        text = re.sub(rf"(?<!\w){re.escape(private)}(?!\w)", "***", text, flags=re.IGNORECASE)
    shown = "".join(char if char.isprintable() else " " for char in _PRIVATE.sub("***", text))
    return " ".join(shown.split())[:200] or "no reason given"


def _is_about_address(stage: Stage, reason: str) -> bool:
    # A refusal by policy blames our right to relay, not the recipient's address.
    if stage not in ("recipient", "content"):
        return False
    if _MAILBOX_REPLY.match(reason):
        return True
    return stage == "recipient" and not _POLICY_REPLY.search(reason)
