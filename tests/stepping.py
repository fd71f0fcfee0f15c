"""Coroutines that are run step by step, so that a test can do something between any two."""

import functools
import types


@types.coroutine
def steps_of(coroutine, step, thrown=bool):
    """Run a coroutine; call `step` each time it gives way to the loop, and `thrown` with what the loop throws in."""
    answer = functools.partial(coroutine.send, None)
    while True:
        try:
            wish = answer()
        except StopIteration as stop:
            return stop.value
        step()
        try:
            value = yield wish
        except BaseException as error:  # noqa: BLE001  # handed on to the coroutine
            thrown(error)
            answer = functools.partial(coroutine.throw, error)
        else:
            answer = functools.partial(coroutine.send, value)
