"""Field types: instants, enumerations, facts, text encrypted at rest."""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

import peewee
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app import config
from app.errors import NotesKeyWrong

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

V = TypeVar("V")
E = TypeVar("E", bound=StrEnum)


class _Typed(Generic[V]):
    """Tells a type checker what a field holds, as peewee's stubs do for peewee's own fields."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> V: ...
        def __get__(self, instance: object, owner: Any) -> Any: ...
        def __set__(self, instance: object, value: V) -> None: ...


class InstantField(_Typed[V], peewee.BigIntegerField):
    """An aware UTC datetime, stored as microseconds since 1970: both databases sort it alike."""

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls, *, null: Literal[True], **options: Any
        ) -> "InstantField[datetime | None]": ...
        @overload
        def __new__(cls, **options: Any) -> "InstantField[datetime]": ...
        def __new__(cls, **options: Any) -> Any: ...

    def db_value(self, value: datetime | int | None) -> int | None:
        """Microseconds since 1970. Raises TypeError for a naive datetime."""
        if value is None or isinstance(value, int):
            return value
        return (value - _EPOCH) // _MICROSECOND

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class EnumField(_Typed[E], peewee.CharField):
    if TYPE_CHECKING:

        def __new__(cls, enumeration: type[E], **options: Any) -> "EnumField[E]": ...

    def __init__(self, enumeration: type[E], **options: Any) -> None:
        super().__init__(max_length=32, **options)
        self.enumeration = enumeration

    def python_value(self, value: str | None) -> E | None:
        return None if value is None else self.enumeration(value)


class FactsField(_Typed[dict[str, Any]], peewee.TextField):
    """A small mapping of plain values, stored as JSON text."""

    def db_value(self, value: dict[str, Any] | None) -> str:
        return json.dumps(value or {}, sort_keys=True)

    def python_value(self, value: str | None) -> dict[str, Any]:
        return dict(json.loads(value)) if value else {}


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


class EncryptedTextField(_Typed[str], peewee.TextField):
    """Text encrypted with the newest key of NOTES_KEY; every key in it decrypts."""

    def db_value(self, value: str | None) -> str | None:
        if value is None:
            return None
        return _cipher(config.current().notes_key).encrypt(value.encode()).decode("ascii")

    def python_value(self, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return _cipher(config.current().notes_key).decrypt(value.encode("ascii")).decode()
        except InvalidToken:
            raise NotesKeyWrong from None
