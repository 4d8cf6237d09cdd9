"""What may still hold erased data outside the rows, and rewriting the database's files."""

from dataclasses import dataclass
from datetime import datetime

import structlog

from app import config
from app.services.ops import acts
from app.store.db import database, scrub
from app.store.models import TABLES

_log = structlog.get_logger("mindsum")

_BACKUPS = "backups made before: delete those you need no more; the others erase it when restored"
_BACKUPS_UNREMEMBERED = (
    "backups made before, which would bring it back: ERASURE_LOG is not set, so delete them"
)
_DEAD_ROWS = "dead rows and statistics in PostgreSQL's files"
_LOG = (
    "PostgreSQL's write-ahead log, its archive and replicas, until they are recycled; and its own"
    " log, where it logs statements"
)


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """`locked`: tables that could not be rewritten now. `left`: what may still hold erased data."""

    locked: list[str]
    left: list[str]


def scrub_database(now: datetime) -> Scrubbed:
    """Raises StoreUnavailable."""
    acts.record("db_scrub", now)
    locked = scrub.rewrite([table._meta.table_name for table in TABLES])
    _log.warning("scrubbed", locked=", ".join(locked) or None)
    left = [each for each in remains() if not each.startswith(_DEAD_ROWS) or locked]
    return Scrubbed(locked, left)


def remains(*, is_remembered: bool = True) -> list[str]:
    """In words, each a place."""
    backups = _BACKUPS if is_remembered else _BACKUPS_UNREMEMBERED
    command = f"run {config.current().command} db scrub"
    if not database.is_sqlite():
        return [f"{_DEAD_ROWS}: {command}, in a quiet hour", _LOG, backups]
    path = database.db.obj.path
    replaced = sorted(each.name for each in path.parent.glob(f"{path.name}.replaced-*"))
    files = [f"{name}, which a restore set aside: delete it" for name in replaced]
    if scrub.log_size():
        files.append(f"the write-ahead log, since another process reads it: {command}")
    return [*files, backups]
