"""Keeps a house of processes going that die by their own hand, until each has died often enough."""

import random
import signal
from collections import Counter
from dataclasses import dataclass, field

from tests.harness.fork_supervisor import SCHEDULER, WEB, ForkSupervisor

COMMITS = ("before_commit", "after_commit")
DURING_SMTP = ("smtp_sender", "smtp_recipient", "smtp_content", "smtp_dot")
MAIL_POINTS = ("after_claim", "during_smtp", "after_250", "before_settle")
Place = tuple[str, str]
"""A role, and a point at which it dies."""


@dataclass
class Supervisor:
    """Starts a new process wherever one has died; `wanted` deaths by role and point."""

    forks: ForkSupervisor
    wanted: Counter[Place]
    sizes: dict[str, int]
    seed: int
    table: str = ""
    furthest: int = 8
    deaths: Counter[Place] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._settled = len(self.forks.journalled("reached"))
        self._assigned: dict[int, Place] = {}

    def tend(self) -> None:
        """Bury the dead and have others take their place."""
        self.forks.look()
        self._count()
        for role, size in self.sizes.items():
            for _ in range(size - len(self.forks.living(role))):
                place = self._next(role)
                if place is None:
                    break
                self._start(place)

    @property
    def is_over(self) -> bool:
        return not self.wanted - self.deaths

    @property
    def share(self) -> float:
        """How much of what is wanted has been, by the role that is furthest behind."""
        shares = []
        for role in self.sizes:
            wanted = sum(count for place, count in self.wanted.items() if place[0] == role)
            done = sum((self.wanted & self.deaths)[p] for p in self.wanted if p[0] == role)
            shares.append(done / wanted if wanted else 1)
        return min(shares)

    def check(self) -> None:
        """All who died as schedulers died of SIGKILL, and nobody died without being meant to."""
        fallen = {end["pid"] for end in self.forks.journalled("reached")}
        for child in self.forks.children.values():
            if child.exit_status is not None and child.role == SCHEDULER:
                expected = -signal.SIGKILL if child.pid in fallen else 0
                assert child.exit_status == expected, (child, self.forks.log()[-3000:])

    def _count(self) -> None:
        reached = self.forks.journalled("reached")
        for end in reached[self._settled :]:
            point = "during_smtp" if end["point"] in DURING_SMTP else end["point"]
            self.deaths[end["role"], point] += 1
        self._settled = len(reached)

    def _next(self, role: str) -> Place | None:
        """Where the next of that role is to die: ("", no point) once all is done."""
        coming = Counter(self._assigned[c.pid] for c in self.forks.living(role))
        left = self.wanted - self.deaths - coming
        places = {place: count for place, count in left.items() if place[0] == role}
        if places:
            return max(places, key=lambda p: (places[p], p[1] == COMMITS[0], self._random.random()))
        # Who lives on would take the work away from those that have yet to come to their end.
        is_needed = not any(coming) if role == WEB else self.is_over
        return (role, "") if is_needed or self.is_over else None

    def _start(self, place: Place) -> None:
        role, point = place
        passage = self._random.randint(1, self.furthest)
        exact = self._random.choice(DURING_SMTP) if point == "during_smtp" else point
        more = {"table": self.table} if point in COMMITS and self.table else {}
        child = self.forks.start(role, exact, passage=passage, **more)
        self._assigned[child.pid] = place
