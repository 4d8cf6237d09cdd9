"""Processes that kill themselves at planned points, and are replaced until all have done so."""

import random
import signal
from collections import Counter
from dataclasses import dataclass, field

from tests.harness.fork_supervisor import SCHEDULER, WEB, ForkSupervisor

COMMITS = ("before_commit", "after_commit")
DURING_SMTP = ("smtp_sender", "smtp_recipient", "smtp_content", "smtp_dot")
MAIL_POINTS = ("after_claim", "during_smtp", "after_250", "before_end")
# Short, so that what a killed scheduler had claimed goes on soon.
LEASE_S = 2.0
Place = tuple[str, str]
"""A role, and a point at which a process of that role kills itself."""


@dataclass
class PlannedKills:
    """Keeps `sizes` processes of each role running until `planned` kills have happened."""

    forks: ForkSupervisor
    planned: Counter[Place]
    sizes: dict[str, int]
    seed: int
    table: str = ""
    max_occurrence: int = 8
    done: Counter[Place] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._counted = len(self.forks.journal_entries("reached"))
        self._assigned: dict[int, Place] = {}

    def replace_killed(self) -> None:
        """Count the kills since the last call, and start other processes in their place."""
        self.forks.read_reports()
        self._count()
        for role, size in self.sizes.items():
            for _ in range(size - len(self.forks.running(role))):
                place = self._next(role)
                if place is None:
                    break
                self._start(place)

    @property
    def is_over(self) -> bool:
        return not self.planned - self.done

    @property
    def progress(self) -> float:
        """How much of the plan is done, from 0 to 1, for the role that is furthest behind."""
        shares = []
        for role in self.sizes:
            planned = sum(count for place, count in self.planned.items() if place[0] == role)
            done = sum((self.planned & self.done)[p] for p in self.planned if p[0] == role)
            shares.append(done / planned if planned else 1)
        return min(shares)

    def check_exits(self) -> None:
        """Every scheduler ended by its own SIGKILL or with status 0."""
        killed = {entry["pid"] for entry in self.forks.journal_entries("reached")}
        for child in self.forks.children.values():
            if child.exit_status is not None and child.role == SCHEDULER:
                expected = -signal.SIGKILL if child.pid in killed else 0
                assert child.exit_status == expected, (child, self.forks.log()[-3000:])

    def _count(self) -> None:
        reached = self.forks.journal_entries("reached")
        for entry in reached[self._counted :]:
            point = "during_smtp" if entry["point"] in DURING_SMTP else entry["point"]
            self.done[entry["role"], point] += 1
        self._counted = len(reached)

    def _next(self, role: str) -> Place | None:
        """Where the next process of that role kills itself: ("", no point) once all is done."""
        coming = Counter(self._assigned[child.pid] for child in self.forks.running(role))
        left = self.planned - self.done - coming
        places = {place: count for place, count in left.items() if place[0] == role}
        if places:
            return max(places, key=lambda p: (places[p], p[1] == COMMITS[0], self._random.random()))
        # A process without a fault would do the work at which the others are to be killed.
        is_needed = not any(coming) if role == WEB else self.is_over
        return (role, "") if is_needed or self.is_over else None

    def _start(self, place: Place) -> None:
        role, point = place
        occurrence = self._random.randint(1, self.max_occurrence)
        exact = self._random.choice(DURING_SMTP) if point == "during_smtp" else point
        more = {"table": self.table} if point in COMMITS and self.table else {}
        child = self.forks.start(role, exact, occurrence=occurrence, lease_s=LEASE_S, **more)
        self._assigned[child.pid] = place
