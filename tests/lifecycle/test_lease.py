"""One walker at a time; a walker that is gone holds nothing."""

import os
import threading
from collections.abc import Callable
from subprocess import Popen

import pytest

from foregate.core.errors import NotAllowedError
from foregate.lifecycle.lease import alive, holder_name
from foregate.lifecycle.store import Store

Python = Callable[..., "Popen[str]"]

HOLDER = """
import sys
from foregate.lifecycle.store import Store, holder_name
ledger = Store(sys.argv[1])
with ledger.lease("leads", holder_name("ann")):
    print("held", flush=True)
    sys.stdin.readline()
ledger.close()
"""

OPENER = """
import sys
from foregate.lifecycle.store import Store
print("ready", flush=True)
sys.stdin.readline()
Store(sys.argv[1]).close()
"""


def hold(python: Python, url: str) -> "Popen[str]":
    walker = python(HOLDER, url)
    assert walker.stdout
    assert walker.stdout.readline() == "held\n"
    return walker


def take(ledger: Store, model: str = "leads") -> None:
    with ledger.lease(model, holder_name("ben")):
        pass


def test_a_second_walker_in_another_process_is_refused_by_name(ledger: Store, python: Python) -> None:
    walker = hold(python, ledger.url)
    with pytest.raises(NotAllowedError, match=rf"a run of it by ann on .*pid {walker.pid}") as caught:
        take(ledger)
    assert caught.value.exit_code == 1
    take(ledger, "prices")  # another model is free
    assert walker.communicate("end\n", timeout=30)[1] == ""
    take(ledger)


@pytest.mark.parametrize("buried", [True, False])
def test_the_lease_of_a_walker_that_was_killed_is_taken_over(ledger: Store, python: Python, buried: bool) -> None:
    walker = hold(python, ledger.url)
    walker.kill()
    if buried:
        walker.wait(timeout=30)
    else:  # dead, and its parent has not asked yet: the process number is still there
        os.waitid(os.P_PID, walker.pid, os.WEXITED | os.WNOWAIT)
    take(ledger)


def test_a_walker_that_raises_gives_its_lease_back(ledger: Store) -> None:
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), ledger.lease("leads", holder_name("ann")):
            raise error
        take(ledger)


def test_a_walker_does_not_take_its_own_lease_twice(ledger: Store) -> None:
    with ledger.lease("leads", holder_name("ann")):
        with pytest.raises(NotAllowedError, match="by ann"):
            take(ledger)
        with pytest.raises(NotAllowedError, match="by ann"):
            take(ledger)  # being refused has taken nothing away
    take(ledger)


def test_of_many_threads_one_walks(ledger: Store) -> None:
    gate, done = threading.Barrier(4), threading.Event()
    outcomes: list[str] = []

    def walk() -> None:
        gate.wait(timeout=10)
        try:
            with ledger.lease("leads", holder_name("ann")):
                outcomes.append("held")
                done.wait(timeout=10)
        except NotAllowedError:
            outcomes.append("refused")
            if outcomes.count("refused") == 3:
                done.set()

    threads = [threading.Thread(target=walk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(outcomes) == ["held", "refused", "refused", "refused"]


def test_a_process_number_that_was_given_out_again_is_not_the_holder() -> None:
    mine = holder_name("ann")
    assert alive(mine)
    number, _, tick = mine.rpartition(" ")
    if tick.rstrip(")").isdigit():
        assert not alive(f"{number} 1)")  # this process's number, held by one that started at the first tick
    assert alive(f"ann on {os.uname().nodename} (pid {os.getpid()})")


def test_a_holder_on_another_machine_is_taken_at_its_word() -> None:
    assert alive("ann on a-machine-far-away (pid 1)")
    assert alive("ann (pid 1) on a-machine-far-away (pid 999999999)")
    assert not alive(f"ann on {os.uname().nodename} (pid 999999999)")
    assert not alive(f"ann on holiday on {os.uname().nodename} (pid 999999999, started at tick 3)")


def test_many_processes_can_make_the_same_ledger_at_once(url: str, python: Python) -> None:
    openers = [python(OPENER, url) for _ in range(4)]
    for opener in openers:
        assert opener.stdout
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin
        opener.stdin.write("go\n")
        opener.stdin.flush()
    for opener in openers:
        _, errors = opener.communicate(timeout=60)
        assert opener.returncode == 0, errors
