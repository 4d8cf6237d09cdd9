"""How a handover can end: typed errors, from whatever the server says or does not say."""

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

_BEFORE_ANY_MESSAGE = frozenset({"connect", "tls", "greeting", "hello", "login"})
_WITH_A_MESSAGE = frozenset({"sender", "recipient", "data", "content"})
# With MAIL FROM go the message's size and form; all else in it is the same for every message.
_ABOUT_ONE_MESSAGE = frozenset({552, 555})
NOT_ALLOWED_IN = frozenset({530, 534, 535, 538})
_PRIVATE = re.compile(r"\S*(?:@|://)\S*|\S{40,}")
_POLICY_REPLY = re.compile(r"^5\.7\.\d|\brelay(?:ing)?\b(?!\.)", re.IGNORECASE)
_MAILBOX_REPLY = re.compile(r"5\.[12]\.\d")


class MailError(Exception):
    """A message was not handed over, or perhaps not.

    `reason` is one line that is safe to log: no address, link or secret. `code` is the server's
    reply code, None where it gave none. `stage` tells how far it came.
    """

    def __init__(self, reason: str, *, stage: Stage, code: int | None = None) -> None:
        super().__init__(f"{stage}: {reason}" if code is None else f"{stage}: {code} {reason}")
        self.reason = reason
        self.stage = stage
        self.code = code

    @property
    def is_about_server(self) -> bool:
        """Whether every other message would meet the same at present."""
        return False

    @property
    def came_with_a_message(self) -> bool:
        """Whether the server had let us in and was being given a message."""
        return self.stage in _WITH_A_MESSAGE


class MailDeferred(MailError):
    """Not now: worth another try. After `reply_lost` the server may have taken it all the same."""

    def __init__(
        self, reason: str, *, stage: Stage, code: int | None = None, reply_lost: bool = False
    ) -> None:
        super().__init__(reason, stage=stage, code=code)
        self.reply_lost = reply_lost

    @property
    def is_about_server(self) -> bool:
        """Whether every other message would meet the same at present."""
        return self.stage in _BEFORE_ANY_MESSAGE


class MailRefused(MailError):
    """Never: `scope` says whether this address ("recipient") or this message cannot be served."""

    def __init__(self, reason: str, *, stage: Stage, scope: Scope, code: int | None = None) -> None:
        super().__init__(reason, stage=stage, code=code)
        self.scope = scope


class MailBlocked(MailError):
    """The server does not let us in: nothing can be sent until ops mends the settings."""

    @property
    def is_about_server(self) -> bool:
        """Whether every other message would meet the same at present."""
        return True


class MailWithheld(MailError):
    """We stopped before the message was whole: the server has taken nothing."""


def _safe_line(reply: bytes | str, hide: tuple[str, ...]) -> str:
    """A server's reply as one short line without addresses, links, tokens or what `hide` names."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    for private in filter(None, hide):
        text = re.sub(rf"(?<!\w){re.escape(private)}(?!\w)", "***", text, flags=re.IGNORECASE)
    shown = "".join(char if char.isprintable() else " " for char in _PRIVATE.sub("***", text))
    return " ".join(shown.split())[:200] or "no reason given"


def outcome_of(
    stage: Stage,
    code: int,
    reply: bytes | str,
    hide: tuple[str, ...] = (),
    *,
    is_unlike_others: bool = False,
) -> MailError:
    """What a reply other than the expected one means for the message.

    `is_unlike_others`: the server was asked for more than every message needs.
    """
    reason = _safe_line(reply, hide)
    if code in NOT_ALLOWED_IN:
        return MailBlocked(reason, stage=stage, code=code)
    if code // 100 != 5 or stage == "tls":
        is_unclear = stage == "content" and code // 100 != 4
        return MailDeferred(reason, stage=stage, code=code, reply_lost=is_unclear)
    is_about_one = is_unlike_others or code in _ABOUT_ONE_MESSAGE
    if stage in _BEFORE_ANY_MESSAGE or (stage == "sender" and not is_about_one):
        return MailBlocked(reason, stage=stage, code=code)
    scope: Scope = "recipient" if _is_against_address(stage, reason) else "message"
    return MailRefused(reason, stage=stage, scope=scope, code=code)


def _is_against_address(stage: Stage, reason: str) -> bool:
    """Whether a refusal blames the recipient's address: one by policy, such as on relaying, not."""
    if stage not in ("recipient", "content"):
        return False
    if _MAILBOX_REPLY.match(reason):
        return True
    return stage == "recipient" and not _POLICY_REPLY.search(reason)


@contextmanager
def typed(stage: Stage, hide: tuple[str, ...] = ()) -> Iterator[None]:
    """Give what smtplib, ssl and sockets raise its place among the outcomes."""
    answered: Stage = "greeting" if stage == "connect" else stage
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise outcome_of(answered, error.smtp_code, error.smtp_error, hide) from None
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
