"""Signatures of what we send: each part as RFC 6376 has it, and verified by its public key."""

import re
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from app.mailer import signing
from app.mailer.signing import Signer, signer_of
from tests.harness.mail_sending import DEE, SENDER, mailer_for, message_to, outgoing
from tests.harness.smtp_server import MailServer


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def pem(key: RSAPrivateKey) -> str:
    form = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return form.decode().replace("\n", "\\n")


def test_a_body_is_simplified_as_the_rfc_shows() -> None:
    # RFC 6376, 3.4.5: the example.
    assert signing._body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"
    assert signing._body(b"") == b""
    assert signing._header("a", b" X\r\n") == b"a:X\r\n"
    assert signing._header("b", b" Y\t\r\n\tZ  \r\n") == b"b:Y Z\r\n"


def tags(signed: bytes) -> dict[str, str]:
    field = re.match(rb"DKIM-Signature:((?:.*\r\n)(?:[ \t].*\r\n)*)", signed)
    assert field
    text = re.sub(r"\s+", "", field[1].decode())
    return dict(part.split("=", 1) for part in text.split(";"))  # type: ignore[misc]


def verify(signed: bytes, record: str) -> None:
    """What a mail server does with it. Raises InvalidSignature."""
    found = tags(signed)
    head, _, body = signed.partition(b"\r\n\r\n")
    if b64decode(found["bh"]) != sha256(signing._body(body)).digest():
        raise InvalidSignature
    fields = {name.lower(): value for name, value in signing._FIELD.findall(head + b"\r\n")}
    names = list(dict.fromkeys(found["h"].split(":")))
    data = b"".join(signing._header(name, fields[name.encode()]) for name in names)
    own = re.sub(rb"b=[^;]*$", b"b=", fields[b"dkim-signature"].rstrip())
    data += signing._header("dkim-signature", own).removesuffix(b"\r\n")
    public = load_der_public_key(b64decode(record.rpartition("p=")[2]))
    public.verify(b64decode(found["b"]), data, PKCS1v15(), SHA256())  # type: ignore[union-attr,call-arg,arg-type]


def test_what_is_sent_verifies_and_a_change_does_not(key: RSAPrivateKey) -> None:
    with MailServer() as server:
        mailer = mailer_for(server, DKIM_KEY=pem(key), DKIM_SELECTOR="m1")
        plain = outgoing(message_to(DEE), DEE)
        with mailer.connect() as connection:
            list(connection.deliver([replace(plain, content=mailer.sign(plain.content))]))
        signed = server.wait_for(1)[0].raw
    signer = signer_of(f"Mindsum <{SENDER}>", "m1", pem(key))
    assert signer.record_name == "m1._domainkey.mindsum.test"
    found = tags(signed)
    assert (found["d"], found["s"], found["a"]) == ("mindsum.test", "m1", "rsa-sha256")
    assert found["h"].split(":").count("from") == 2
    verify(signed, signer.record)
    for before, after in ((b"Tuesday", b"Wednesday"), (b"Session request", b"Cheap request")):
        with pytest.raises(InvalidSignature):
            verify(signed.replace(before, after), signer.record)
    with pytest.raises(InvalidSignature):
        verify(signed, Signer("x", "m1", generate_private_key(65537, 2048)).record)


def test_without_a_key_nothing_is_signed() -> None:
    with MailServer() as server:
        mailer = mailer_for(server)
    assert mailer.sign(b"Subject: x\r\n\r\nx\r\n") == b"Subject: x\r\n\r\nx\r\n"
