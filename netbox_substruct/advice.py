"""The one next sensible thing to do about a device, virtual machine or machine.  Pure.

It is given what is known and what the user may do, and says what comes next in words, with an action that the user may
take, or none.  Which page carries out an action is for the pages to know.
"""

from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _

from .choices import BuildStateChoices as Build
from .choices import MachineStateChoices as Machine
from .choices import NextBootChoices
from .lifecycle.states import BUILD_ACTIVE

type Action = Literal['', 'register', 'adopt', 'choose-profile', 'build', 'watch', 'read', 'take-back']
type May = Literal['register', 'adopt', 'change', 'build', 'view-build']


@dataclass(frozen=True, slots=True)
class Situation:
    """`state` is None for what is no machine yet; `build_*` are of its newest build; `may` is what the user may do."""

    state: str | None = None
    has_profile: bool = False
    next_boot: str = ''
    build_id: int | None = None
    build_state: str | None = None
    error: str = ''
    may: frozenset[May] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """`words` say how things stand and what comes next; `label` is what a button says, where there is an action."""

    words: str
    action: Action = ''
    label: str = ''


def next_step(now: Situation) -> Step:
    """What comes next."""
    if now.state is None:
        return _offer(
            now, ('register', 'register', _('Register')),
            _('Not registered. Register it, choose a profile, and it can be built.'),
            _('Not registered. Whoever may add machines can register it.'),
        )  # fmt: skip
    if now.state == Machine.STATE_RETIRED:
        return _offer(
            now, ('change', 'take-back', _('Register again')),
            _('It is retired, and nothing is offered to it. Register it again to use it.'),
            _('It is retired, and nothing is offered to it.'),
        )  # fmt: skip
    if now.build_state in BUILD_ACTIVE:
        return _offer(now, ('view-build', 'watch', _('Watch')), _under_way(now), _under_way(now))
    if now.next_boot:
        what = dict(NextBootChoices).get(now.next_boot, now.next_boot)
        return Step(
            _('Restart it: the next time that it boots from the network it gets, once: {what}.').format(what=what)
        )
    if now.state == Machine.STATE_DISCOVERED:
        return _offer(
            now, ('adopt', 'adopt', _('Adopt')),
            _('It reported itself, and is no device yet. Adopt it.'), _('It reported itself, and is no device yet.'),
        )  # fmt: skip
    if now.build_state in (Build.STATE_FAILED, Build.STATE_STALLED) and now.state != Machine.STATE_BUILT:
        words = _failed(now)
        if 'view-build' in now.may:
            return Step(words, 'read', _('Read why and try again') if 'build' in now.may else _('Read why'))
        return _offer(now, ('build', 'build', _('Build')), words, words)
    if not now.has_profile:
        if 'change' not in now.may and 'build' in now.may:
            return Step(_('It has no profile: choose one, and build it.'), 'build', _('Build'))
        return _offer(
            now, ('change', 'choose-profile', _('Choose a profile')),
            _('Nothing says yet what it is to become: choose its profile.'),
            _('Nothing says yet what it is to become: it has no profile.'),
        )  # fmt: skip
    if now.state == Machine.STATE_BUILT:
        return Step(_('It is built, and there is nothing to do.'))
    if now.state == Machine.STATE_FAILED:
        words = _('Its last build did not come to its end, and its disks may be half written. Build it again.')
        return _offer(now, ('build', 'build', _('Build')), words, words)
    return _offer(
        now, ('build', 'build', _('Build')),
        _('It has a profile, and was not built yet. Build it.'), _('It has a profile, and was not built yet.'),
    )  # fmt: skip


def _offer(now: Situation, offer: tuple[May, Action, str], words: str, otherwise: str) -> Step:
    needed, action, label = offer
    return Step(words, action, label) if needed in now.may else Step(otherwise)


def _under_way(now: Situation) -> str:
    if now.build_state == Build.STATE_PENDING:
        return _('Build #{build} waits for it: switch it on, or restart it, and let it boot from the network.').format(
            build=now.build_id
        )
    return _('Build #{build} is under way.').format(build=now.build_id)


def _failed(now: Situation) -> str:
    how = _('has stalled') if now.build_state == Build.STATE_STALLED else _('failed')
    words = _('Build #{build} {how}').format(build=now.build_id, how=how)
    # What a machine says may be long; the page of the build has all of it.
    return f'{words}: {now.error[:200]}' if now.error and 'view-build' in now.may else f'{words}.'
