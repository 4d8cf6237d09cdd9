"""One test for a claim about many cases, which reports every case that fails."""

import inspect
from collections.abc import Callable, Collection
from typing import Any

import pytest

Test = Callable[..., None]


def for_every(cases: Collection[Any]) -> Callable[[Test], Test]:
    """Make a test of a check of one case; a case that is a tuple gives several arguments.

    The check's other arguments are fixtures, which all cases share. For cases that cost
    microseconds: pytest takes milliseconds for each test.
    """
    calls = [case if isinstance(case, tuple) else (case,) for case in cases]
    assert calls

    def merged(check: Test) -> Test:
        def test(**fixtures: Any) -> None:
            failures: list[Exception] = []
            for arguments in calls:
                try:
                    check(*arguments, **fixtures)
                except (Exception, pytest.fail.Exception) as error:
                    # What pytest raises is no Exception, so a group cannot hold it.
                    failure = error if isinstance(error, Exception) else AssertionError(str(error))
                    failure.add_note(f"The case: {arguments!r:.500}")
                    failures.append(failure)
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(calls)} cases fail", failures)

        parameters = list(inspect.signature(check).parameters.values())
        vars(test).update(
            __module__=check.__module__,
            __doc__=check.__doc__,
            __signature__=inspect.Signature(parameters[len(calls[0]) :]),
        )
        test.__name__ = check.__name__
        return test

    return merged
