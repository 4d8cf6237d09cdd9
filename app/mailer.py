"""The only door to SMTP: Flask-Mail with its traps closed, kept connections and typed outcomes."""

import io
import ipaddress
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any, Literal, Self

import flask_mail
import idna
from flask import current_app

DEFAULT_TIMEOUT_SECONDS = 10.0
GOODBYE_SECONDS = 1.0
LONGEST_ADDRESS = 254
FINAL_REPLY_TIMEOUTS = 3
"""How many timeouts the reply to a whole message may take: a server that scans is not lost."""

Stage = Literal[
    "message", "connect", "tls", "greeting", "hello", "login",
    "sender", "recipient", "data", "content",
]  # fmt: skip
Scope = Literal["recipient", "message"]

_BEFORE_ANY_MESSAGE = frozenset({"connect", "tls", "greeting", "hello", "login"})
_NOT_ALLOWED_IN = frozenset({530, 534, 535, 538})
_SETTINGS_BEHIND: Mapping[Stage, str] = {
    "connect": "MAIL_SERVER and MAIL_PORT",
    "greeting": "MAIL_PORT, MAIL_USE_SSL and MAIL_USE_TLS",
    "tls": "MAIL_USE_TLS, MAIL_USE_SSL and MAIL_SERVER, which the certificate must name",
    "hello": "MAIL_SERVER and MAIL_PORT",
    "login": "MAIL_USERNAME and MAIL_PASSWORD",
    "sender": "MAIL_DEFAULT_SENDER",
}
_CONTROL = r"\x00-\x1f\x7f\ud800-\udfff"
_ADDRESS = re.compile(
    rf"""([^\s{_CONTROL}@<>(),:;\\"\[\]]+|"(?:[^{_CONTROL}"\\]|\\[\x20-\x7e])+")"""
    rf"""@([^\s{_CONTROL}@<>(),;\\"]+)"""
)
_MALFORMED = re.compile(rb"\r(?!\n)|(?<!\r)\n|\x00")
_UNFOLDED = re.compile(r"\r(?!\n)|\n(?![ \t])")
_PRIVATE = re.compile(r"\S*(?:@|://)\S*|\S{40,}")
_POLICY_REPLY = re.compile(r"5\.7\.\d")
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


class _Replies(io.RawIOBase):
    """Reads a socket until a moment (monotonic seconds), however slowly the bytes drip in."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.until = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


class _Client(smtplib.SMTP):
    """smtplib's client, with the timeout over each whole reply instead of over each read."""

    patience: float | None = None
    _replies: _Replies

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected
        if self.file is None:
            self._replies = _Replies(self.sock)
            self.file = io.BufferedReader(self._replies)
        self._replies.until = time.monotonic() + (self.patience or self.timeout)
        try:
            return super().getreply()
        except smtplib.SMTPResponseException:
            # An endless line: smtplib hung up and made the code up, so it decides nothing.
            raise smtplib.SMTPServerDisconnected from None
        finally:
            if self.sock is not None:
                self.sock.settimeout(self.timeout)

    def final_reply(self) -> tuple[int, bytes]:
        """The reply to a whole message."""
        self.patience = FINAL_REPLY_TIMEOUTS * self.timeout
        try:
            return self.getreply()
        finally:
            self.patience = None


class _TLSClient(_Client, smtplib.SMTP_SSL):
    pass


class Connection(flask_mail.Connection):
    """One thread's way to the mail server: opened by the first message, kept for those after it.

    A connection that broke, was ended by the server or idled is opened anew for the next message.
    """

    host: _Client | None
    idle_seconds = 30.0

    def __init__(self, mail: Any, timeout: float) -> None:
        super().__init__(mail)
        self.timeout = timeout
        self._used_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: object, envelope_from: object = None) -> None:
        """Closed: Flask-Mail's own messages let header injection through. Raises TypeError."""
        raise TypeError("only an email.message.EmailMessage is sent: use deliver()")

    def deliver(self, message: EmailMessage, recipient: str) -> None:
        """Hand `message` over for one bare address; returns once the server has taken it.

        Raises MailDeferred, MailRefused or MailBlocked; the connection can be used again after
        each of them. Waits at most the timeout for each reply, three times that for the last.
        """
        sender = self._sender()
        address = _envelope_address(recipient)
        is_international = _is_international(message, sender, address)
        wire = _wire(message, is_international)
        while True:
            client, is_kept = self._ready()
            if is_international and not client.has_extn("smtputf8"):
                raise MailRefused(
                    "the mail server takes no addresses beyond ASCII (it lacks SMTPUTF8)",
                    stage="recipient",
                    scope="recipient",
                )
            try:
                with self._left_in_order():
                    self._offer_sender(client, sender, wire, is_international)
                    self._hand_over(client, address, wire)
                return
            except MailDeferred as error:
                # Servers end a kept connection after so many messages: not this one's fault.
                if not (is_kept and self.host is None and error.stage == "sender"):
                    raise

    def rehearse(self) -> None:
        """All of a delivery up to the sender's address; nothing is sent. Raises MailError."""
        sender = self._sender()
        client, _ = self._ready()
        with self._left_in_order():
            self._ask(client, "sender", f"MAIL FROM:<{sender}>")
            self._ask(client, "sender", "RSET")

    def close(self) -> None:
        """Say goodbye, if anyone still listens: what was taken stays taken."""
        if self.host is not None:
            self.host.patience = min(self.timeout, GOODBYE_SECONDS)
            with suppress(OSError):
                self.host.quit()
            self._drop()

    def configure_host(self) -> _Client:
        """A new connection: encrypted if so set, and logged in. Raises MailError."""
        mail = self.mail
        context = _tls_context(mail.server) if mail.use_tls or mail.use_ssl else None
        where = {"host": mail.server, "port": mail.port, "timeout": self.timeout}
        # Given here, or smtplib asks DNS for our name without any timeout.
        name = socket.gethostname()
        with _typed("connect"):
            if mail.use_ssl:
                client: _Client = _TLSClient(**where, local_hostname=name, context=context)
            else:
                client = _Client(**where, local_hostname=name)
        try:
            client.local_hostname = _hello_name(client, name)
            self._ask(client, "hello")
            if mail.use_tls:
                self._start_tls(client, context)
            if mail.username:
                self._log_in(client)
        except BaseException:
            client.close()
            raise
        return client

    def _start_tls(self, client: _Client, context: ssl.SSLContext | None) -> None:
        if not client.has_extn("starttls"):
            raise MailDeferred("the server does not offer STARTTLS", stage="tls")
        with _typed("tls"):
            client.starttls(context=context)
        self._ask(client, "hello")

    def _log_in(self, client: _Client) -> None:
        if not (self.mail.use_tls or self.mail.use_ssl or _is_loopback(self.mail.server)):
            raise MailBlocked(
                "the password would travel unencrypted: set MAIL_USE_TLS or MAIL_USE_SSL",
                stage="login",
            )
        name, password = self.mail.username, self.mail.password or ""
        with _typed("login", hide=(name, password)):
            try:
                client.login(name, password)
            except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
                raise
            except smtplib.SMTPException:
                raise MailBlocked("the server offers no login we know", stage="login") from None
            except ValueError:
                raise MailBlocked("name and password must be plain ASCII", stage="login") from None

    def _sender(self) -> str:
        try:
            return _envelope_address(parseaddr(self.mail.default_sender or "")[1])
        except MailRefused:
            raise MailBlocked("MAIL_DEFAULT_SENDER is not an address", stage="sender") from None

    def _ready(self) -> tuple[_Client, bool]:
        """A client between two messages, and whether it was kept from the one before."""
        if self.host is not None and self._is_usable(self.host):
            return self.host, True
        self.close()
        client = self.host = self.configure_host()
        self._used_at = time.monotonic()
        return client, False

    def _is_usable(self, client: _Client) -> bool:
        if time.monotonic() - self._used_at > self.idle_seconds:
            return False
        with suppress(OSError):
            return client.rset()[0] == 250
        return False

    @contextmanager
    def _left_in_order(self) -> Iterator[None]:
        """Keep the connection only where the server's last reply was read and ended nothing."""
        try:
            yield
        except MailError as error:
            if error.code is None or error.code == 421 or error.code // 100 not in (4, 5):
                self._drop()
            raise
        except BaseException:
            self._drop()
            raise
        finally:
            self._used_at = time.monotonic()

    def _drop(self) -> None:
        client, self.host = self.host, None
        if client is not None:
            client.close()

    def _offer_sender(self, client: _Client, sender: str, wire: bytes, utf8: bool) -> None:
        command = f"MAIL FROM:<{sender}>"
        if client.has_extn("size"):
            command += f" SIZE={len(wire)}"
        if client.has_extn("8bitmime") and not wire.isascii():
            command += " BODY=8BITMIME"
        if utf8:
            client.command_encoding = "utf-8"
            command += " SMTPUTF8"
        self._ask(client, "sender", command)

    def _hand_over(self, client: _Client, address: str, wire: bytes) -> None:
        hide = (address, address.rpartition("@")[0])
        self._ask(client, "recipient", f"RCPT TO:<{address}>", hide=hide)
        self._ask(client, "data", "DATA", expected=3, hide=hide)
        with _typed("content"):
            client.send(re.sub(rb"(?m)^\.", b"..", wire) + b".\r\n")
        try:
            with _typed("content"):
                code, reply = client.final_reply()
        except MailDeferred as error:
            raise MailDeferred(error.reason, stage="content", reply_lost=True) from None
        if code // 100 != 2:
            raise _outcome("content", code, reply, hide)

    def _ask(
        self,
        client: _Client,
        stage: Stage,
        command: str | None = None,
        *,
        expected: int = 2,
        hide: tuple[str, ...] = (),
    ) -> None:
        """Send one command (EHLO if none) and expect a reply of that hundred."""
        with _typed(stage):
            code, reply = client.docmd(command) if command else client.ehlo()
        if code // 100 != expected:
            raise _outcome(stage, code, reply, hide)


class Mailer(flask_mail.Mail):
    """Flask-Mail's extension (the MAIL_* keys of the application's config, and MAIL_TIMEOUT in
    seconds), safe to share between threads: each delivers over its own `connect()`.

    Its test mode (mail lost without a word) and debug mode (passwords printed) have no effect here.
    """

    def connect(self) -> Connection:
        """A connection for one thread and one batch; closed by leaving its `with` block."""
        app = self.app or current_app
        timeout = float(app.config.get("MAIL_TIMEOUT", DEFAULT_TIMEOUT_SECONDS))
        return Connection(app.extensions["mail"], timeout)

    def check(self) -> str | None:
        """Try all but sending: None, or one line that says what is wrong and where it is set."""
        with self.connect() as connection:
            try:
                connection.rehearse()
            except MailError as error:
                is_login = isinstance(error, MailBlocked) and error.code in _NOT_ALLOWED_IN
                settings = _SETTINGS_BEHIND["login" if is_login else error.stage]
                where = f"{connection.mail.server}:{connection.mail.port}"
                return f"mail server {where}: {error}; look at {settings}"
        return None


def _is_loopback(server: str) -> bool:
    """Whether mail to `server` never leaves this machine, by its name alone."""
    try:
        return server == "localhost" or ipaddress.ip_address(server).is_loopback
    except ValueError:
        return False


def _tls_context(server: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if _is_loopback(server):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _hello_name(client: _Client, name: str) -> str:
    if "." in name or client.sock is None:
        return name
    own = client.sock.getsockname()[0]
    return f"[IPv6:{own}]" if ":" in own else f"[{own}]"


def _envelope_address(address: str) -> str:
    """`address` as SMTP commands take it, its domain in ASCII. Raises MailRefused."""
    match = _ADDRESS.fullmatch(address)
    if match is not None and len(address) <= LONGEST_ADDRESS:
        local, domain = match.groups()
        if domain.isascii():
            return address
        with suppress(UnicodeError):
            return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    raise MailRefused("that is no email address", stage="message", scope="recipient")


def _is_international(message: EmailMessage, *addresses: str) -> bool:
    """Whether an address of envelope or header is beyond ASCII, which needs SMTPUTF8."""
    fields = ("From", "Sender", "Reply-To", "To", "Cc")
    headers = [header for field in fields for header in message.get_all(field, [])]
    shown = [one.addr_spec for header in headers for one in getattr(header, "addresses", ())]
    return not all(address.isascii() for address in (*addresses, *shown))


def _wire(message: EmailMessage, utf8: bool) -> bytes:
    """The message's bytes, lines ended by CR LF. Raises MailRefused unless it is exactly one."""
    policy: Any = message.policy
    try:
        wire = message.as_bytes(policy=policy.clone(linesep="\r\n", utf8=utf8))
    except (ValueError, LookupError, TypeError, AttributeError, MessageError) as error:
        reason = f"the message could not be written ({type(error).__name__})"
        raise MailRefused(reason, stage="message", scope="message") from None
    lines = wire.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = [line.partition(b":")[0].decode("latin-1") for line in lines if line[:1] not in b" \t"]
    is_broken = any(_UNFOLDED.search(str(value)) for _, value in message.raw_items())
    if is_broken or names != message.keys() or _MALFORMED.search(wire):
        reason = "the message has a header or line that mail may not carry"
        raise MailRefused(reason, stage="message", scope="message")
    return wire if wire.endswith(b"\r\n") else wire + b"\r\n"


def _safe_line(reply: bytes | str, hide: tuple[str, ...]) -> str:
    """A server's reply as one short line without addresses, links, tokens or what `hide` names."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    for private in filter(None, hide):
        text = re.sub(rf"(?<!\w){re.escape(private)}(?!\w)", "***", text, flags=re.IGNORECASE)
    shown = "".join(char if char.isprintable() else " " for char in _PRIVATE.sub("***", text))
    return " ".join(shown.split())[:200] or "no reason given"


def _outcome(stage: Stage, code: int, reply: bytes | str, hide: tuple[str, ...] = ()) -> MailError:
    """What a reply other than the expected one means for the message."""
    reason = _safe_line(reply, hide)
    if code in _NOT_ALLOWED_IN:
        return MailBlocked(reason, stage=stage, code=code)
    if code // 100 != 5 or stage == "tls":
        is_unclear = stage == "content" and code // 100 != 4
        return MailDeferred(reason, stage=stage, code=code, reply_lost=is_unclear)
    if stage in _BEFORE_ANY_MESSAGE:
        return MailBlocked(reason, stage=stage, code=code)
    # A refusal by policy says nothing against the address; one after the content may.
    is_policy, is_mailbox = _POLICY_REPLY.match(reason), _MAILBOX_REPLY.match(reason)
    by_recipient = not is_policy if stage == "recipient" else stage == "content" and is_mailbox
    scope: Scope = "recipient" if by_recipient else "message"
    return MailRefused(reason, stage=stage, scope=scope, code=code)


@contextmanager
def _typed(stage: Stage, hide: tuple[str, ...] = ()) -> Iterator[None]:
    """Give what smtplib, ssl and sockets raise its place among the outcomes."""
    answered: Stage = "greeting" if stage == "connect" else stage
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _outcome(answered, error.smtp_code, error.smtp_error, hide) from None
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
