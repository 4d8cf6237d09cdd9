"""Field types: instants, enumerations, facts, text encrypted at rest."""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

import peewee

from app.store import encryption

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

        @overload
        def __new__(
            cls, enumeration: type[E], *, null: Literal[True], **options: Any
        ) -> "EnumField[Any]": ...
        @overload
        def __new__(cls, enumeration: type[E], **options: Any) -> "EnumField[E]": ...
        def __new__(cls, enumeration: type[E], **options: Any) -> Any: ...

        enumeration: type[E]

    else:

        def __init__(self, enumeration, **options):
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


class _Stored(str):
    """Text as it is in the database, encrypted."""

    __slots__ = ()


class _Plain(str):
    """Text of a row, which knows that row: where it will be stored decides how."""

    row: peewee.Model


class _EncryptedAccessor(peewee.FieldAccessor):
    def __get__(self, instance: Any, instance_type: Any = None) -> Any:
        value = super().__get__(instance, instance_type)  # type: ignore[no-untyped-call] # not in its stubs
        if instance is not None and isinstance(value, _Stored):
            value = self._plain(instance, encryption.decrypt(value, self.field.place(instance)))
            instance.__data__[self.name] = value
        return value

    def __set__(self, instance: Any, value: str | None) -> None:
        is_plain = value is not None and not isinstance(value, _Stored)
        super().__set__(instance, self._plain(instance, str(value)) if is_plain else value)

    @staticmethod
    def _plain(instance: peewee.Model, text: str) -> _Plain:
        plain = _Plain(text)
        plain.row = instance
        return plain


class EncryptedTextField(_Typed[str], peewee.TextField):
    """Text encrypted with the newest key of NOTES_KEY; every key in it decrypts.

    It opens only in the column that it was written to, in a row with the same values of the
    columns `bound_to`, which must never change. Reading raises NotesKeyWrong or StoredTextMoved.
    """

    accessor_class = _EncryptedAccessor

    def __init__(self, *, bound_to: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(**options)
        self.bound_to = bound_to

    def place(self, row: peewee.Model | None) -> str:
        """What a text is bound to. Raises TypeError where the row is not known."""
        values = []
        for name in self.bound_to:
            if row is None or row.__data__.get(name) is None:
                raise TypeError(f"{self.name} is bound to {name}: select it, or save a whole row")
            values.append(self.model._meta.fields[name].db_value(row.__data__[name]))
        return json.dumps([self.model._meta.table_name, self.name, *values])

    def db_value(self, value: str | None) -> str | None:
        if value is None or isinstance(value, _Stored):
            return value
        return encryption.encrypt(value, self.place(getattr(value, "row", None)))

    def python_value(self, value: str | None) -> str | None:
        return None if value is None else _Stored(value)
