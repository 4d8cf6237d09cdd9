"""Encrypts a backup file in chunks: none can be changed, left out, moved or cut off unnoticed."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.store import encryption

_MAGIC = b"mindsum-backup-1 "
_SALT_BYTES, _TAG_BYTES = 16, 16
CHUNK_BYTES = 1024 * 1024


class CannotDecrypt(Exception):
    pass


def is_encrypted(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def encrypt(source: Path, target: Path, key: str) -> None:
    header = _MAGIC + encryption.fingerprint(key).encode() + b"\n" + os.urandom(_SALT_BYTES)
    cipher = _cipher(key, header)
    with source.open("rb") as plain, target.open("wb") as file:
        file.write(header)
        for nonce, chunk in _chunks(plain, CHUNK_BYTES):
            file.write(cipher.encrypt(nonce, chunk, header))
        file.flush()
        os.fsync(file.fileno())


def decrypt(source: Path, target: Path, keys: Sequence[str]) -> None:
    """Raises CannotDecrypt, in words, where no key fits or the file is not whole."""
    with source.open("rb") as file, target.open("wb") as plain:
        first = file.readline(64)
        header = first + file.read(_SALT_BYTES)
        wanted = first.removeprefix(_MAGIC).strip().decode("ascii", "replace")
        key = next((each for each in keys if encryption.fingerprint(each) == wanted), None)
        if key is None:
            raise CannotDecrypt(f"BACKUP_KEY should hold the key with the fingerprint {wanted}")
        cipher = _cipher(key, header)
        for nonce, chunk in _chunks(file, CHUNK_BYTES + _TAG_BYTES):
            try:
                plain.write(cipher.decrypt(nonce, chunk, header))
            except InvalidTag:
                raise CannotDecrypt("it is damaged, or was cut off") from None


def _cipher(key: str, header: bytes) -> AESGCM:
    # A key for each file, so that nonces can count from 0.
    return AESGCM(encryption.derived_key(key, b"mindsum backup " + header))


def _chunks(file: IO[bytes], size: int) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk with its nonce, which counts and says whether it is the last."""
    number, chunk = 0, file.read(size)
    while True:
        following = file.read(size)
        yield number.to_bytes(11, "big") + bytes([not following]), chunk
        if not following:
            return
        number, chunk = number + 1, following
