"""The timetable: every job, how often it runs, and how many runs may overlap."""

from collections.abc import Callable

from app import clock, config
from app.mailer import Mailer
from app.services.inbound import addresses
from app.services.inbound.handle import process_inbound
from app.services.jobs import due
from app.services.jobs.result import Job
from app.services.mail.leases import LeapWatch
from app.services.mail.sender import OutboxSender
from app.services.mail.throttle import ProcessorShare
from app.store import wakeups

# An answer from a mailbox is heard as fast as a press.
INBOUND_EVERY_S = 1.0
DELIVER_OUTBOX = "deliver_outbox"
# After a wake-up it runs at once; only where that is lost an email waits so long.
DELIVER_EVERY_S = 0.5
# At most: with a distant mail server nearly all the time is waiting.
DELIVERIES_AT_ONCE = 8


def timetable(
    mailer: Mailer,
    is_late: Callable[[], bool] = lambda: False,
    ring: Callable[[], None] = wakeups.ring,
) -> tuple[Job, ...]:
    """In the order of `--once`; `is_late` and `ring` as in `delivery_job`."""
    sweep_every_s = config.current().sweep_seconds
    inbound = (Job("process_inbound", INBOUND_EVERY_S, process_inbound),)
    return (
        *(inbound if addresses.is_open() else ()),
        Job("remind_answers", sweep_every_s, due.remind_answers),
        Job("escalate_late", sweep_every_s, due.escalate_late),
        Job("expire_enquiries", sweep_every_s, due.expire_enquiries),
        Job("complete_sessions", sweep_every_s, due.complete_sessions),
        Job("apply_standing", sweep_every_s, due.apply_standing),
        Job("remind_sessions", sweep_every_s, due.remind_sessions),
        Job("purge", sweep_every_s, due.Purge()),
        delivery_job(mailer, is_late, ring),
    )


def delivery_job(mailer: Mailer, is_late: Callable[[], bool], ring: Callable[[], None]) -> Job:
    """No message is handed over once `is_late` returns True; `ring` calls for help with many."""
    share, leaps = ProcessorShare(), LeapWatch(clock.now)
    sender = OutboxSender(mailer, clock.now, is_late, share=share, leaps=leaps, ring=ring)
    return Job(
        DELIVER_OUTBOX,
        DELIVER_EVERY_S,
        lambda _now: sender.deliver(),
        at_once=DELIVERIES_AT_ONCE,
        patience_s=sender.patience_s,
    )
