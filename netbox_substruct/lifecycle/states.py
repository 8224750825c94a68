"""The state machines, as tables.  Pure data: no models, no database.

Machine:  discovered → registered → building → built      (failed, retired)
Build:    pending → booting → installing → finishing → complete      (failed, cancelled, stalled)
Task:     pending → claimed → done      (failed, cancelled)
"""

from collections.abc import Mapping

from ..choices import BuildEventKindChoices as Event
from ..choices import BuildStateChoices as Build
from ..choices import MachineStateChoices as Machine
from ..choices import TaskStateChoices as Task

type Moves = Mapping[str, frozenset[str]]

MACHINE_MOVES: Moves = {
    Machine.STATE_DISCOVERED: frozenset({Machine.STATE_REGISTERED, Machine.STATE_RETIRED}),
    Machine.STATE_REGISTERED: frozenset({Machine.STATE_BUILDING, Machine.STATE_RETIRED}),
    # Back to registered or built: the build was cancelled, or given up, before the machine had begun with it.
    Machine.STATE_BUILDING: frozenset({Machine.STATE_BUILT, Machine.STATE_FAILED, Machine.STATE_REGISTERED}),
    Machine.STATE_BUILT: frozenset({Machine.STATE_BUILDING, Machine.STATE_REGISTERED, Machine.STATE_RETIRED}),
    # Failed to built or building: a stalled build was heard of again.
    Machine.STATE_FAILED: frozenset(
        {Machine.STATE_BUILDING, Machine.STATE_BUILT, Machine.STATE_REGISTERED, Machine.STATE_RETIRED}
    ),
    Machine.STATE_RETIRED: frozenset({Machine.STATE_REGISTERED, Machine.STATE_DISCOVERED}),
}

_BUILD_ENDS = frozenset({Build.STATE_COMPLETE, Build.STATE_FAILED, Build.STATE_CANCELLED, Build.STATE_STALLED})

BUILD_MOVES: Moves = {
    Build.STATE_PENDING: _BUILD_ENDS | {Build.STATE_BOOTING, Build.STATE_INSTALLING, Build.STATE_FINISHING},
    Build.STATE_BOOTING: _BUILD_ENDS | {Build.STATE_INSTALLING, Build.STATE_FINISHING},
    Build.STATE_INSTALLING: _BUILD_ENDS | {Build.STATE_FINISHING},
    Build.STATE_FINISHING: _BUILD_ENDS,
    Build.STATE_COMPLETE: frozenset(),
    Build.STATE_FAILED: frozenset(),
    Build.STATE_CANCELLED: frozenset(),
    # A stalled build has ended for the machine (it boots its disk), but news of it is still taken.
    Build.STATE_STALLED: frozenset(
        {
            Build.STATE_BOOTING, Build.STATE_INSTALLING, Build.STATE_FINISHING, Build.STATE_COMPLETE,
            Build.STATE_FAILED, Build.STATE_CANCELLED,
        }
    ),
}  # fmt: skip

TASK_MOVES: Moves = {
    Task.STATE_PENDING: frozenset({Task.STATE_CLAIMED, Task.STATE_CANCELLED}),
    # Back to pending: it failed and is to be tried again, or whoever claimed it was never heard of again.
    Task.STATE_CLAIMED: frozenset({Task.STATE_PENDING, Task.STATE_DONE, Task.STATE_FAILED, Task.STATE_CANCELLED}),
    Task.STATE_DONE: frozenset(),
    Task.STATE_FAILED: frozenset({Task.STATE_PENDING}),
    Task.STATE_CANCELLED: frozenset(),
}

# Builds that a machine boots for; a machine has at most one.
BUILD_ACTIVE = frozenset({Build.STATE_PENDING, Build.STATE_BOOTING, Build.STATE_INSTALLING, Build.STATE_FINISHING})
# Builds of which news is still taken, if no later build has taken their place: a stalled one may be heard of again.
BUILD_OPEN = BUILD_ACTIVE | {Build.STATE_STALLED}
# The way that a build goes forward; an event never takes it back.
BUILD_ORDER = (
    Build.STATE_PENDING, Build.STATE_BOOTING, Build.STATE_INSTALLING, Build.STATE_FINISHING, Build.STATE_COMPLETE,
)  # fmt: skip
TASK_OPEN = frozenset({Task.STATE_PENDING, Task.STATE_CLAIMED})

# Where an event takes the build that it belongs to; events not listed here only stand in the timeline.
EVENT_TO_STATE: Mapping[str, str] = {
    Event.KIND_ADDRESS_OFFERED: Build.STATE_BOOTING,
    Event.KIND_LOADER_FETCHED: Build.STATE_BOOTING,
    Event.KIND_SCRIPT_FETCHED: Build.STATE_BOOTING,
    Event.KIND_KERNEL_FETCHED: Build.STATE_BOOTING,
    Event.KIND_CONFIG_FETCHED: Build.STATE_INSTALLING,
    Event.KIND_PROGRESS: Build.STATE_INSTALLING,
    Event.KIND_FINISHING: Build.STATE_FINISHING,
    Event.KIND_FINISHED: Build.STATE_COMPLETE,
    Event.KIND_FAILED: Build.STATE_FAILED,
    Event.KIND_STALLED: Build.STATE_STALLED,
    Event.KIND_CANCELLED: Build.STATE_CANCELLED,
}

# Steps that people take: each has a move with a permission of its own, and nobody reports it.
NOT_REPORTED = frozenset({Event.KIND_REQUESTED, Event.KIND_CANCELLED})

# What an ended build makes of its machine (one that was cancelled or given up depends on how far it had come:
# `builds._left_as`).
BUILD_END_TO_MACHINE: Mapping[str, str] = {
    Build.STATE_COMPLETE: Machine.STATE_BUILT,
    Build.STATE_FAILED: Machine.STATE_FAILED,
}


def machine_state(state: str, known: bool) -> str:
    """The state of a machine that is saved: registered once it is a device or virtual machine, discovered before."""
    if known and state == Machine.STATE_DISCOVERED:
        return Machine.STATE_REGISTERED
    if not known and state == Machine.STATE_REGISTERED:
        return Machine.STATE_DISCOVERED
    return state


def next_build_state(state: str, event: str) -> str | None:
    """Where an event takes a build in the given state; None where it stays.

    Events may come late, twice or out of order: none takes a build backwards or out of a final state.
    """
    target = EVENT_TO_STATE.get(event)
    if target is None or target == state or target not in BUILD_MOVES[state]:
        return None
    return target
