"""The file ERASURE_LOG: who was erased and when, as keyed hashes, outside the database.

The key of the hashes is random and never changes, so that they stay comparable. The first line
holds it, encrypted with NOTES_KEY; `mindsum notes rekey` encrypts it under the newest one.
"""

import fcntl
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app import config
from app.errors import DomainError, NotesKeyWrong, StoredTextMoved
from app.store import encryption
from app.store.models import Client, Therapist

_HEADER = "mindsum-erasures-1"
_PLACE = "erasure log"


class ErasureLogUnusable(DomainError):
    """The file cannot be read or written; nothing was done."""

    code = "erasure_log_unusable"
    is_fault = True

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"ERASURE_LOG {path} cannot be used: {why}")


@dataclass(frozen=True, slots=True)
class Erased:
    """`moments`: the last erasure by hash."""

    key: bytes
    moments: dict[str, datetime]

    def holds(self, person: Client | Therapist) -> bool:
        """Whether they were erased; not where they came back after that."""
        row, address = _identities(person)
        erased_at = self.moments.get(_hash(self.key, address))
        is_same_row = _hash(self.key, row) in self.moments
        return is_same_row or (erased_at is not None and person.created_at <= erased_at)


def add(person: Client | Therapist, now: datetime) -> None:
    """Call it last in the transaction that erases: an erasure never commits unremembered."""
    path = config.current().erasure_log_path
    if path is None:
        return
    with _faults_named(path), _locked(path):
        key = _read_key(path) or _create(path)
        lines = [f"{now.isoformat()} {_hash(key, each)}\n" for each in _identities(person)]
        with path.open("ab+") as file:
            # A process may have died within a line.
            file.seek(-1, os.SEEK_END)
            cut = b"" if file.read() == b"\n" else b"\n"
            file.write(cut + "".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())


def load() -> Erased | None:
    """None without a log. Raises ErasureLogUnusable."""
    path = config.current().erasure_log_path
    if path is None:
        return None
    with _faults_named(path):
        if not path.exists():
            return None
        key = _read_key(path)
        assert key is not None
        moments: dict[str, datetime] = {}
        for line in path.read_text().splitlines()[1:]:
            at, _, hashed = line.partition(" ")
            with suppress(ValueError):
                moment = datetime.fromisoformat(at)
                moments[hashed] = max(moment, moments.get(hashed, moment))
        return Erased(key, moments)


def rekey() -> None:
    """Encrypt the key of the hashes under the newest NOTES_KEY."""
    path = config.current().erasure_log_path
    if path is None or not path.exists():
        return
    with _faults_named(path), _locked(path):
        key = _read_key(path)
        assert key is not None
        _, _, lines = path.read_text().partition("\n")
        _replace(path, f"{_header(key)}\n{lines}")


def _identities(person: Client | Therapist) -> tuple[str, str]:
    # The row is known again where the address was changed since the backup, and the address where
    # a restored database has given its number to somebody else.
    kind = type(person).__name__.lower()
    created = person.created_at.isoformat()
    return f"{kind} {person.id} {created}", f"{kind} {person.email_key}"


def _hash(key: bytes, identity: str) -> str:
    return hmac.digest(key, identity.encode(), "sha256").hex()


def _header(key: bytes) -> str:
    return f"{_HEADER} {encryption.encrypt(key.hex(), _PLACE)}"


def _read_key(path: Path) -> bytes | None:
    try:
        with path.open() as file:
            name, _, sealed = file.readline().rstrip("\n").partition(" ")
    except FileNotFoundError:
        return None
    if name != _HEADER:
        raise ErasureLogUnusable(path, "it is no file of ours")
    return bytes.fromhex(encryption.decrypt(sealed, _PLACE))


def _create(path: Path) -> bytes:
    key = secrets.token_bytes(32)
    _replace(path, f"{_header(key)}\n")
    return key


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.touch(0o600)
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ErasureLogUnusable(path, f"{error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ErasureLogUnusable(path, "it is no file of ours") from None
    except (NotesKeyWrong, StoredTextMoved) as error:
        raise ErasureLogUnusable(path, str(error)) from None
