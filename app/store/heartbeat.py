"""When a kind of process was last known to be alive."""

from datetime import datetime

from app.store.models import Heartbeat


def beat(name: str, now: datetime) -> None:
    """Note that a process of that kind is alive at `now`."""
    (
        Heartbeat.insert(name=name, at=now)
        .on_conflict(conflict_target=[Heartbeat.name], update={Heartbeat.at: now})
        .execute()
    )


def last_beat(name: str) -> datetime | None:
    """When that kind of process was last alive; None if never."""
    row = Heartbeat.get_or_none(Heartbeat.name == name)
    return row.at if row else None
