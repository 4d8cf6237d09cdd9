"""Mangled messages: no crash, no wrong move, memory bounded."""

import random
import resource
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from app.config import Settings
from app.mail_addresses import AddressKind
from app.rules.lifecycle import Status
from app.services.inbound import addresses
from app.services.inbound.handle import process_inbound
from app.services.inbound.receive import receive
from app.store.models import InboundMessage, InboundStatus, OutboxEmail, Role
from emails.calendar import event_uid
from tests.harness.soak import runs
from tests.scenarios.bounces import SHAPES, Refusal
from tests.scenarios.invitation_answers import PROGRAMS, Answer
from tests.scenarios.mailbox import SEPARATORS, written
from tests.scenarios.story import Story, total

MESSAGES = runs(500, 10_000)
SEED = 16
MEGABYTE = 1024 * 1024
MOST_GROWTH = 300 * MEGABYTE


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"inbound_domain": "in.example"})


def truncated(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def with_noise(raw: bytes, chance: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.randrange(1, 40)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def with_nul(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw))
    return raw[:at] + b"\x00" * chance.randrange(1, 100) + raw[at:]


def wrong_charset(raw: bytes, chance: random.Random) -> bytes:
    name = chance.choice([b"utf-7", b"utf-32", b"hz", b"nonsense", b"idna", b"rot13", b"utf-16"])
    return raw.replace(b"UTF-8", name).replace(b"utf-8", name).replace(b"base64", b"8bit", 1)


def deep(raw: bytes, chance: random.Random) -> bytes:
    depth = chance.choice([5, 50, 500, 3000])
    heads = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n)
        for n in range(depth)
    )
    return b"From: asha@therapists.example\r\n" + heads + raw


def large(raw: bytes, chance: random.Random) -> bytes:
    size = chance.choice([1, 1, 1, 30]) * MEGABYTE
    line = chance.choice([b"A" * 76 + b"\r\n", b"> x\r\n", b"A", b"\r\n", b"On x\r\n", b"=\r\n"])
    return raw + line * (size // len(line))


def repeated(raw: bytes, chance: random.Random) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    return (head + b"\r\n") * chance.randrange(2, 60) + b"\r\n" + body * chance.randrange(1, 60)


def shuffled(raw: bytes, chance: random.Random) -> bytes:
    lines = raw.split(b"\r\n")
    chance.shuffle(lines)
    return b"\r\n".join(lines)


MANGLES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    truncated,
    with_noise,
    with_nul,
    wrong_charset,
    deep,
    large,
    repeated,
    shuffled,
)


def test_mangled_messages_crash_nothing_move_nothing_and_need_little_memory(
    app: Flask, story: Story, report_figures: Callable[[str], None]
) -> None:
    booking = story.ask()
    story.deliver()
    chance, kinds = random.Random(SEED), Counter[str]()
    request = OutboxEmail.get(OutboxEmail.kind == "booking_requested")
    organizer = f"{addresses.of_person(booking.therapist)}@in.example"
    bounces = addresses.of_email(AddressKind.BOUNCE, request)
    # None of these may act as it is, so none may once it is mangled.
    answer = Answer(to=organizer, uid=event_uid(booking.reference), partstat="TENTATIVE")
    originals = [
        *((organizer, write(answer)) for write in PROGRAMS.values()),
        *((organizer, written(organizer, f"Not sure{text}")) for text in SEPARATORS.values()),
        (bounces, SHAPES["postfix_delay"].write(Refusal(to=bounces, action="delayed"))),
        (bounces, written(bounces, "I am away", headers="Auto-Submitted: auto-replied\n")),
    ]
    before, long_ago = peak_memory(), story.now - timedelta(hours=2)
    for number in range(MESSAGES):
        to, raw = chance.choice(originals)
        # A message of its own: a repeated one would be dropped unread.
        raw = raw.replace(b"-1@m", b"-%d@m" % number)
        mangle = chance.choice(MANGLES)
        for _ in range(chance.choice([1, 1, 2])):
            raw = mangle(raw, chance)[: 31 * MEGABYTE]
        # The limit counts what came within the hour; the enquiry must stay open all the while.
        InboundMessage.update(received_at=long_ago).where(
            InboundMessage.received_at > long_ago
        ).execute()
        receive(to, raw, is_from_server=False, now=story.now)
        assert total(process_inbound(story.now)).failed == 0, (number, mangle.__name__)
        kinds[mangle.__name__] += 1
    rows = list(InboundMessage.select())
    assert {row.status for row in rows} == {InboundStatus.HANDLED}
    assert story.reload(booking).status is Status.REQUESTED
    assert story.reload(booking).handed_over_at is not None
    assert OutboxEmail.get_by_id(request.id).role is Role.THERAPIST
    assert peak_memory() - before < MOST_GROWTH
    report_figures(f"{dict(kinds)} {Counter(str(row.outcome) for row in rows)}")


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
