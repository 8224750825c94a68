"""The one place where it is decided what a machine boots now, and why.

`decide` is pure: the pages, the API, preflight and the feed all hand it the same few facts and show the same answer.
"""

from dataclasses import dataclass
from typing import Any, Literal

from .choices import BuildStateChoices, FirmwareChoices, LocalBootChoices, MachineStateChoices, NextBootChoices
from .lifecycle.states import BUILD_ACTIVE

type Action = Literal['build', 'local', 'rescue', 'discovery', 'wipe', 'nothing']

_ONCE: dict[str, tuple[Action, str]] = {
    NextBootChoices.NEXT_RESCUE: ('rescue', 'It was asked for the rescue system, once.'),
    NextBootChoices.NEXT_DISCOVERY: ('discovery', 'It was asked for discovery, once.'),
    NextBootChoices.NEXT_WIPE: ('wipe', 'It was asked to wipe its disks, once.'),
}
_STATE_REASON = {
    MachineStateChoices.STATE_REGISTERED: 'It is registered and no build was requested: its own disk.',
    MachineStateChoices.STATE_BUILT: 'It is built and has nothing to do: its own disk.',
    MachineStateChoices.STATE_FAILED: 'Its last build failed; nothing more is tried by itself: its own disk.',
    MachineStateChoices.STATE_BUILDING: 'It has no build under way any more: its own disk.',
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What the decision depends on: a machine's own fields, and its newest build if that is open (`BUILD_OPEN`)."""

    state: str
    next_boot: str = ''
    firmware: str = ''
    local_boot: str = LocalBootChoices.LOCAL_AUTO
    build_id: int | None = None
    build_state: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is booted, the reason in words, and what is needed to do it.

    `local_method` says how the disk is reached when it comes to that: sanboot, exit, grub or no-offer; empty where the
    firmware is not known yet and the boot loader has to look.
    """

    action: Action
    reason: str
    build_id: int | None = None
    local_method: str = ''


def local_method(local_boot: str, firmware: str) -> str:
    """How a machine reaches its disk: what was set, else what its firmware needs (BIOS sanboot, UEFI exit)."""
    if local_boot and local_boot != LocalBootChoices.LOCAL_AUTO:
        return local_boot
    if firmware == FirmwareChoices.FIRMWARE_BIOS:
        return LocalBootChoices.LOCAL_SANBOOT
    if firmware == FirmwareChoices.FIRMWARE_UEFI:
        return LocalBootChoices.LOCAL_EXIT
    return ''


def decide(subject: Subject) -> Decision:
    """What a known machine boots now."""
    local = local_method(subject.local_boot, subject.firmware)
    if subject.build_id is not None and subject.build_state == BuildStateChoices.STATE_FINISHING:
        # The disk is written; what is left happens in the system that stands there.
        reason = f'Build #{subject.build_id} is finishing: its own disk, where it goes on.'
        return Decision('local', reason, subject.build_id, local)
    if subject.build_id is not None and subject.build_state in BUILD_ACTIVE:
        words = 'is pending' if subject.build_state == BuildStateChoices.STATE_PENDING else 'is under way'
        return Decision('build', f'Build #{subject.build_id} {words}.', subject.build_id, local)
    if subject.state == MachineStateChoices.STATE_RETIRED:
        return Decision('nothing', 'It is retired: nothing is offered.', local_method=local)
    if subject.next_boot in _ONCE:
        action, reason = _ONCE[subject.next_boot]
        return Decision(action, reason, local_method=local)
    if subject.state == MachineStateChoices.STATE_DISCOVERED:
        return Decision('discovery', 'It is discovered and waits to be adopted.', local_method=local)
    if subject.build_id is not None and subject.build_state == BuildStateChoices.STATE_STALLED:
        # Nobody knows how far it came: erasing a disk once more is not for the boot server to decide.
        reason = f'Build #{subject.build_id} is stalled: its own disk, unless it is heard of again.'
        return Decision('local', reason, subject.build_id, local)
    return Decision('local', _STATE_REASON[subject.state], local_method=local)


def decide_unknown(discovery_enabled: bool) -> Decision:
    """What a machine boots that NetBox does not know, on a subnet with discovery on or off."""
    if discovery_enabled:
        return Decision('discovery', 'It is unknown, and discovery is on in this subnet.')
    return Decision('nothing', 'It is unknown, and discovery is off in this subnet: nothing is offered.')


def subject_of(machine: Any) -> Subject:
    """The subject of a Machine (reads its newest build)."""
    build = machine.open_build
    return Subject(
        state=machine.state,
        next_boot=machine.next_boot,
        firmware=machine.firmware,
        local_boot=machine.local_boot,
        build_id=build.pk if build else None,
        build_state=build.state if build else None,
    )
