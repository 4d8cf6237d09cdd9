"""Signed links: a token works for its purpose and its recipient, and for nothing else."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from app import clock, config, links
from app.config import Settings
from app.errors import LinkInvalid
from app.links import LinkPurpose
from tests.harness.every import for_every
from tests.scenarios.cast import MONDAY

FACTS = {"holder": "t7", "subject": "MB-7K3QXD", "epoch": 2}
PURPOSES = list(LinkPurpose)


def with_keys(secret_key: str, *fallbacks: str) -> None:
    """Sign with `secret_key`; the fallbacks, newest first, still verify."""
    config.use(Settings(secret_key=secret_key, secret_key_fallbacks=fallbacks))


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    """One key; the settings of the process are restored afterwards."""
    before = config.current()
    with_keys("first key")
    yield
    config.use(before)


def minted(purpose: LinkPurpose = LinkPurpose.ACCEPT, **changes: Any) -> str:
    return links.mint(purpose, **{**FACTS, **changes})


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_token_holds_its_recipient_booking_and_epoch(purpose: LinkPurpose, at: Any) -> None:
    now = at(MONDAY)
    link = links.read(purpose, minted(purpose))
    assert link == links.LinkToken(purpose, "t7", "MB-7K3QXD", 2, now)


@for_every(list(product(PURPOSES, PURPOSES)))
def test_a_token_of_one_purpose_is_refused_for_every_other(
    made_for: LinkPurpose, used_for: LinkPurpose
) -> None:
    token = minted(made_for)
    if made_for is used_for:
        assert links.read(used_for, token).purpose is used_for
        return
    with pytest.raises(LinkInvalid):
        links.read(used_for, token)


def test_a_token_cut_anywhere_is_refused() -> None:
    token = minted()
    for length in range(len(token)):
        with pytest.raises(LinkInvalid):
            links.read(LinkPurpose.ACCEPT, token[:length])


@for_every(range(0, 60, 3))
def test_a_token_with_one_character_changed_is_refused(position: int) -> None:
    token = minted()
    other = "A" if token[position] != "A" else "B"
    with pytest.raises(LinkInvalid):
        links.read(LinkPurpose.ACCEPT, token[:position] + other + token[position + 1 :])


@given(st.text(max_size=links.MAX_LENGTH))
def test_any_text_in_place_of_a_token_is_refused_and_never_an_error(text: str) -> None:
    with pytest.raises(LinkInvalid):
        links.read(LinkPurpose.ACCEPT, text)


BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def spellings(token: str) -> Iterator[str]:
    """The token in other characters, many of which a lenient reader takes for the same."""
    payload, time, signature = token.split(".")
    yield from (f"{token}{end}" for end in ("=", "==", "\n", " ", "\0", "é", ".", "%3D", "!", "A"))
    yield from (f"{start}{token}" for start in ("=", " ", "é", ".", "..", "\ufeff"))
    for part in (payload, time, signature):
        for odd in "é=\n !\u200b\u0661ａ~":
            for place in (0, len(part) // 2, len(part)):
                yield token.replace(part, part[:place] + odd + part[place:])
    # The last character of the signature has bits that no byte needs.
    yield from (token[:-1] + other for other in BASE64 if other != token[-1])
    yield f"{payload}.{time}.{signature.replace('-', '+').replace('_', '/')}=" + "="
    yield f"{payload}.{time}..{signature}"
    yield token.swapcase()
    yield "".join(chr(ord(each) + 0xFEE0) if each.isalnum() else each for each in token)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_token_has_exactly_one_spelling(purpose: LinkPurpose) -> None:
    for number in range(40):
        token = minted(purpose, subject=f"MB-7K3Q{number:02}")
        read = links.read(purpose, token)
        for other in spellings(token):
            if other != token:
                with pytest.raises(LinkInvalid):
                    links.read(purpose, other)
        assert links.read(purpose, token) == read


def test_a_compressed_payload_has_one_spelling_too() -> None:
    token = minted(LinkPurpose.SIGN_IN, subject="x" * 64)
    assert token.startswith(".")
    others = {token[1:], f".{token}", *spellings(token[1:])} - {token}
    for other in others:
        with pytest.raises(LinkInvalid):
            links.read(LinkPurpose.SIGN_IN, other)


def test_a_token_longer_than_ours_is_refused_before_any_cryptography(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def looked(*_: object) -> None:
        raise AssertionError("a long token reached the serializer")

    monkeypatch.setattr(links, "_serializer", looked)
    with pytest.raises(LinkInvalid):
        links.read(LinkPurpose.ACCEPT, "x" * (links.MAX_LENGTH + 1))


def test_the_longest_token_of_ours_is_within_the_limit() -> None:
    token = minted(LinkPurpose.SIGN_IN, holder=f"t{2**63}", subject="x" * 64, epoch=2**31)
    assert len(token) <= links.MAX_LENGTH
    assert links.read(LinkPurpose.SIGN_IN, token).subject == "x" * 64


@pytest.mark.parametrize(
    ("origin", "more"),
    [({}, []), ({"email": 5}, [5]), ({"email": 5, "is_of_page": True}, [5, 1])],
)
def test_the_payload_is_recipient_subject_epoch_and_the_email_it_comes_from(
    origin: dict[str, Any], more: list[int]
) -> None:
    token = minted(**origin)
    _, payload = URLSafeTimedSerializer("any key").loads_unsafe(token)
    assert payload == ["t7", "MB-7K3QXD", 2, *more]
    link = links.read(LinkPurpose.ACCEPT, token)
    assert (link.email, link.is_of_page) == (origin.get("email"), "is_of_page" in origin)


@pytest.mark.parametrize(
    "payload",
    [
        [], ["t7"], ["t7", 5, 2], [None, None, None], {"a": 1}, "abc",
        ["t7", "MB-7K3QXD", 2, None], ["t7", "MB-7K3QXD", 2, "5"], ["t7", "MB-7K3QXD", 2, 5, 5],
    ],
)  # fmt: skip
def test_a_well_signed_token_of_another_shape_is_refused(payload: Any) -> None:
    token = links._serializer(LinkPurpose.ACCEPT, ("first key",)).dumps(payload)
    assert isinstance(token, str)
    with pytest.raises(LinkInvalid):
        links.read(LinkPurpose.ACCEPT, token)


def test_a_token_signed_with_the_right_key_and_the_default_digest_is_refused() -> None:
    forged = URLSafeTimedSerializer("first key", salt="mindsum.link.accept")
    token = forged.dumps(["t7", "MB-7K3QXD", 2])
    assert isinstance(token, str)
    with pytest.raises(LinkInvalid):
        links.read(LinkPurpose.ACCEPT, token)


def test_after_a_rotation_old_links_work_and_new_ones_are_signed_with_the_new_key() -> None:
    old = minted()
    with_keys("second key", "first key")
    new = minted()
    assert (
        links.read(LinkPurpose.ACCEPT, old).subject == links.read(LinkPurpose.ACCEPT, new).subject
    )
    with_keys("first key")
    with pytest.raises(LinkInvalid):
        links.read(LinkPurpose.ACCEPT, new)


def test_after_two_rotations_both_older_keys_still_verify() -> None:
    first = minted()
    with_keys("second key", "first key")
    second = minted()
    with_keys("third key", "second key", "first key")
    for token in (first, second, minted()):
        assert links.read(LinkPurpose.ACCEPT, token).epoch == 2


def test_a_retired_key_verifies_nothing() -> None:
    token = minted()
    with_keys("second key")
    with pytest.raises(LinkInvalid):
        links.read(LinkPurpose.ACCEPT, token)


def test_a_moved_clock_ages_a_link(at: Any) -> None:
    at(MONDAY)
    token = minted(LinkPurpose.SIGN_IN)
    link = links.read(LinkPurpose.SIGN_IN, token)
    assert link.minted_at == MONDAY
    later = at(MONDAY + timedelta(minutes=15))
    assert links.read(LinkPurpose.SIGN_IN, token) == link
    assert links.read(LinkPurpose.SIGN_IN, minted(LinkPurpose.SIGN_IN)).minted_at == later


def test_the_demo_clock_ages_a_link_too(at: Any, tmp_path: Any) -> None:
    at(MONDAY)
    offset = tmp_path / "clock"
    clock.follow(offset)
    try:
        offset.write_text("3600", "ascii")
        link = links.read(LinkPurpose.ACCEPT, minted())
    finally:
        clock.follow(None)
    assert link.minted_at == MONDAY + timedelta(hours=1)


def test_a_link_is_built_from_public_url() -> None:
    config.use(replace_public_url("https://bookings.example.org/"))
    address = links.url(LinkPurpose.CHOOSE, **FACTS)
    prefix = "https://bookings.example.org/link/choose/"
    assert address.startswith(prefix)
    assert links.read(LinkPurpose.CHOOSE, address.removeprefix(prefix)).holder == "t7"


def replace_public_url(url: str) -> Settings:
    return Settings(public_url=url, secret_key="a key for the tests")
