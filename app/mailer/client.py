"""The client underneath: smtplib with a deadline over each reply, and TLS that is verified."""

import io
import ipaddress
import smtplib
import socket
import ssl
import time
from typing import Any

FINAL_REPLY_TIMEOUTS = 3
"""How many timeouts the reply to a whole message may take: a server that scans is not lost."""


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


class Client(smtplib.SMTP):
    """smtplib's client, with the timeout over each whole reply instead of over each read."""

    patience: float | None = None
    _replies: _Replies

    def getreply(self) -> tuple[int, bytes]:
        """One reply: its code and text. Raises SMTPServerDisconnected where none came in time."""
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


class TLSClient(Client, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


def is_loopback(server: str) -> bool:
    """Whether mail to `server` never leaves this machine, by its name alone."""
    try:
        return server == "localhost" or ipaddress.ip_address(server).is_loopback
    except ValueError:
        return False


def tls_context(server: str) -> ssl.SSLContext:
    """Verifies the server's certificate and name, unless the server is loopback."""
    context = ssl.create_default_context()
    if is_loopback(server):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def send_at_once(client: Client) -> None:
    """Have a message's short end leave at once, not when the rest of it has been acknowledged."""
    if client.sock is not None:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def hello_name(client: Client, name: str) -> str:
    """What to say HELO as: a full host name, or the address that the server sees us at."""
    if "." in name or client.sock is None:
        return name
    own = client.sock.getsockname()[0]
    return f"[IPv6:{own}]" if ":" in own else f"[{own}]"
