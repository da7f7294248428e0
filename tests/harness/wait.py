"""Waiting on conditions."""

import time


class WaitTimeout(AssertionError):
    """A condition did not come true in time."""


def wait_until(predicate, timeout=30.0, what="the condition", interval=0.02, give_up=None):
    """Calls predicate until it returns something true, and returns that.

    give_up, when given, is called between tries and raises if waiting has become pointless (a process that
    has died, say). A predicate that returns a false value with news in it (a list of differences is not
    false, so return `not differences`) should keep the news in `what`, which may be a callable.
    """
    deadline = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if give_up is not None:
            give_up()
        if time.monotonic() >= deadline:
            text = what() if callable(what) else what
            raise WaitTimeout(f"after {timeout:g} s still waiting for {text}")
        time.sleep(interval)
        interval = min(interval * 1.5, 0.25)
