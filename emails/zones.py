"""Time zones: those of the pinned tzdata package alone, on every machine."""

from zoneinfo import available_timezones, reset_tzpath

# Before the first zone is read: the machine's own files can be years old, and hold names such as
# `localtime` that mean something else on every machine.
reset_tzpath(to=())

# `Factory` stands for a machine whose zone was never set.
NAMES = frozenset(available_timezones() - {"Factory"})
