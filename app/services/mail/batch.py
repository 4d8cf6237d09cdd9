"""Claimed emails on their way: those still to be tried, and results that are not stored yet."""

import time
from collections import deque
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from app.services.jobs.result import JobResult
from app.services.mail import expiry
from app.services.mail.results import Ended, Result
from app.store import claiming, pauses, queries, suppressions
from app.store.claiming import Claim
from app.store.models import OutboxEmail, OutboxStatus, Outcome, Suppression

# An email tells what was true at most so long before it was composed.
FRESH_S = 1.0
# Results wait at most so long for others to be stored with.
STORE_AFTER_S = 0.5


class Batch:
    """What is the same for all its emails is read for all at once."""

    def __init__(self, claims: Collection[Claim]) -> None:
        # Those without a result; they are given back where none is found.
        self.open = {each.email.id: each for each in claims}
        self.results: list[Ended] = []
        # The sum of the results that were stored and not yet reported.
        self.stored = JobResult()
        self._untried = deque(each.email.id for each in claims)
        self._read_s: float | None = None
        self._since_s = 0.0
        self._unreached: dict[int, Suppression] = {}
        self._paused: set[str] = set()
        # An email that ends for a person without any delivered one changes what the others say.
        self._is_news_under_way = False
        # Whether this connection leaves the rest of them.
        self.is_stopped = False

    def next(self) -> Claim | None:
        """The next claim to try, whose email was read a moment ago."""
        while self._untried and not self._is_news_under_way:
            if self._read_s is None or time.monotonic() - self._read_s > FRESH_S:
                self._read()
            claim = self.open.get(self._untried.popleft())
            if claim is not None and (claim.probes or not self._is_paused(claim.email)):
                self._is_news_under_way = claim.email.id in self._unreached
                return claim
        return None

    def why_unsendable(self, email: OutboxEmail, now: datetime) -> Result | None:
        if stale := expiry.why_stale(email, now):
            return Result(OutboxStatus.SKIPPED, Outcome.SKIPPED, stale)
        suppressed = self._unreached.get(email.id)
        if suppressed and suppressed.until and now < suppressed.until:
            reason = f"the address is suppressed: {suppressed.reason}"
            return Result(OutboxStatus.FAILED, Outcome.SUPPRESSED, reason)
        return None

    def end(self, claim: Claim, result: Result, now: datetime) -> None:
        if not self.results:
            self._since_s = time.monotonic()
        self.results.append(Ended(self.open.pop(claim.email.id), result, now))
        if not result.is_good:
            # It may have silenced an address or paused a domain.
            self._read_s = -FRESH_S

    @property
    def is_due(self) -> bool:
        """Whether its results have waited long enough."""
        return bool(self.results) and time.monotonic() - self._since_s >= STORE_AFTER_S

    def take_stored(self) -> JobResult:
        taken, self.stored = self.stored, JobResult()
        return taken

    def take_results(self) -> list[Ended]:
        taken, self.results = self.results, []
        return taken

    def _read(self) -> None:
        left = [self.open[each] for each in self._untried if each in self.open]
        if self._read_s is not None:
            emails = claiming.load([each.email.id for each in left])
            for each in left:
                email = emails.get(each.email.id, each.email)
                self.open[each.email.id] = replace(each, email=email)
        current = [self.open[each.email.id].email for each in left]
        queries.read_ahead([email.booking for email in current if email.booking])
        self._unreached = suppressions.of_emails(current)
        self._paused = {each.scope for each in pauses.all_pauses()}
        self._read_s = time.monotonic()

    def _is_paused(self, email: OutboxEmail) -> bool:
        return not self._paused.isdisjoint((email.domain, pauses.EVERYTHING))
