"""No changed token opens anything, over real HTTP and whatever bytes its address is made of."""

import http.client
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask

from app import clock, config, links
from app.links import LinkPurpose
from app.services import auth
from app.services.bookings import confirm
from app.store.models import AccessEntry, AccessEvent, PendingRequest, SignIn, Therapist
from app.web.links import tokens
from tests.harness.page_stories import all_rows, ask, wanted
from tests.harness.processes import Site, is_ok
from tests.harness.smtp_server import LOOPBACK, MailServer
from tests.harness.soak import runs
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.cast import therapist

MUTANTS = runs(2_000, 100_000)
THREADS = 4
BASE64 = string.ascii_letters + string.digits + "-_"
ODD = "éßａ١\u200b\ufeff\u00ad=+ ~!*'%\t\n\0"

Request = tuple[str, LinkPurpose, str]


class Connection(http.client.HTTPConnection):
    """Sends an address as it is, in UTF-8 where it is not ASCII."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode()


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path, mail: MailServer) -> Site:
    """A site with Asha, who has an enquiry, a request not yet confirmed and a Sign In link."""
    therapist("Asha Rao", "Europe/London")
    day = clock.now() + timedelta(days=2)
    day = day.replace(hour=10, minute=0, second=0, microsecond=0)
    ask(starts_at=day)
    confirm.take_request(wanted(starts_at=day + timedelta(hours=1)), now=clock.now())
    auth.request_sign_in("asha@therapists.example", "", clock.now())
    built = Site(database_url, tmp_path, mail)
    built.environment |= {"SECRET_KEY": config.current().secret_key, "WEB_CONCURRENCY": "2"}
    return built


def good_tokens(app: Flask) -> dict[LinkPurpose, str]:
    asha = Therapist.get()
    with app.test_request_context():
        found = {
            purpose: tokens.path(purpose, asha.bookings.get()).rpartition("/")[2]
            for purpose in LinkPurpose
            if purpose not in (LinkPurpose.SIGN_IN, LinkPurpose.CONFIRM)
        }
        found[LinkPurpose.CONFIRM] = confirm.url(PendingRequest.get()).rpartition("/")[2]
    key = SignIn.get().key
    found[LinkPurpose.SIGN_IN] = links.mint(
        LinkPurpose.SIGN_IN, holder=asha.link_holder, subject=key
    )
    return found


def _replaced(token: str, place: int, other: str, drawn: random.Random) -> str:
    return token[:place] + drawn.choice(BASE64) + token[place + 1 :]


MUTATIONS: tuple[Callable[[str, int, str, random.Random], str], ...] = (
    _replaced,
    lambda token, place, _, drawn: token[:place] + drawn.choice(ODD) + token[place + 1 :],
    lambda token, place, _, drawn: token[:place] + drawn.choice(ODD) + token[place:],
    lambda token, place, *_: token[:place] + token[place + 1 :],
    lambda token, place, *_: token[: place + 1],
    lambda token, place, *_: token[:place] + token[place:].swapcase(),
    # The bits of the last character that no byte needs.
    lambda token, _, __, drawn: token[:-1] + drawn.choice(BASE64),
    lambda token, _, __, drawn: token + drawn.choice(ODD) * drawn.randint(1, 3),
    # Payload, time and signature of two tokens.
    lambda token, place, other, _: ".".join(
        part if place >> number & 1 else foreign
        for number, (part, foreign) in enumerate(
            zip(token.split("."), other.split("."), strict=True)
        )
    ),
)


# Other spellings of the address of a token that is good. What percent-encoding spells is the same
# address: granian decodes it before we see it.
SPELLINGS = (
    "//link/{}/{}", "/link//{}/{}", "/link/{}//{}", "/link/{}/{}/", "/link/{}/{}//", "/link/{}/{}.",
    "/link/{}/{};x=1", "/link/{};x=1/{}", "/LINK/{}/{}", "/Link/{}/{}", "/link/./{}/{}",
    "/link/x/../{}/{}", "/link/{}/./{}", "/link/{}/{}%00", "/link/{}/{}%2F",
    "/link/{}/%20{}", "/link/{}/{}%0A", "/link/{}/{}%C3%A9", "/link/{}/é{}", "/link/{}/%2E{}",
    "/link/{}%20/{}", "/link/{}/{}%3Fx", "/link\\{}/{}",
)  # fmt: skip


def requests(good: dict[LinkPurpose, str], drawn: random.Random) -> Iterator[Request]:
    """Without end."""
    while True:
        purpose, other = drawn.choice(list(good)), drawn.choice(list(good))
        token = good[purpose]
        mutate = drawn.choice(MUTATIONS)
        changed = mutate(token, drawn.randrange(len(token)), good[other], drawn)
        if changed in ("", ".", "..", token):
            continue
        is_sendable = changed.isprintable() and not set(changed) & set(" %")
        spelt = changed if is_sendable and drawn.random() < 0.5 else quote(changed, safe="")
        can_post = purpose is not LinkPurpose.SESSION
        yield "POST" if can_post and drawn.random() < 0.5 else "GET", purpose, spelt


def opens(site: Site, path: str) -> bool:
    """Whether an address answers with anything but that there is no such page or link."""
    connection = Connection(LOOPBACK, site.port, timeout=PATIENCE_S)
    statuses = set()
    for method in ("GET", "POST"):
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        statuses.add(answer.status)
    connection.close()
    return not statuses <= {400, 404, 405}


def send_all(site: Site, asked: list[Request]) -> Counter[tuple[int, Request | None]]:
    """How often each status came; with the request, where it is not 400."""
    seen: Counter[tuple[int, Request | None]] = Counter()
    connection = Connection(LOOPBACK, site.port, timeout=PATIENCE_S)
    for method, purpose, token in asked:
        connection.request(method, f"/link/{purpose}/{token}")
        answer = connection.getresponse()
        answer.read()
        seen[answer.status, None if answer.status == 400 else (method, purpose, token)] += 1
    connection.close()
    return seen


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_changed_token_opens_anything(app: Flask, site: Site) -> None:
    good = good_tokens(app)
    asked = list(islice(requests(good, random.Random(runs(7, None))), MUTANTS))
    before = all_rows()
    with site.spawn("-m", "app.serve"), ThreadPoolExecutor(THREADS) as pool:
        until("the site to answer", lambda: site.call("GET", "/healthz"), is_ok)
        for purpose, token in good.items():
            assert site.call("GET", f"/link/{purpose}/{token}")[0] in (200, 302, 409)
            spelt = [each.format(purpose, token) for each in SPELLINGS]
            assert [each for each in spelt if opens(site, each)] == []
        parts = pool.map(lambda part: send_all(site, asked[part::THREADS]), range(THREADS))
        seen = sum(parts, Counter())
    assert seen == {(400, None): MUTANTS}
    assert all_rows() == before
    opened, refused = (
        list(AccessEntry.select().where(AccessEntry.event == event))
        for event in (AccessEvent.LINK_OPENED, AccessEvent.LINK_REFUSED)
    )
    assert {each.about for each in opened} == set(good)
    # A row for each kind of link and minute, which counts at least half of what came.
    assert len(refused) < MUTANTS / 10
    spelt_otherwise = 2 * len(good) * len(SPELLINGS)
    assert MUTANTS / 2 <= sum(each.times for each in refused) <= MUTANTS + spelt_otherwise
