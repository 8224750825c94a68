"""What a running wave does next, and why.  Pure: values in, a value out.

The rules, in this order:

1. A canary that failed, or whose build was cancelled, stops the wave: that is what canaries are for.
2. More failures than are allowed stop it.
3. When nothing waits and nothing is being built, it is complete.
4. Builds are begun only while the window is open; a window that never opens again stops the wave.
5. Canaries come first, and the others wait until every canary is done.
6. No more than `at_once` are being built at the same time.

Failures that somebody has excused, by letting a stopped wave go on, count no more; nor does what was left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import WaveMemberStateChoices as MemberState
from ..choices import WaveStateChoices as State
from .window import Window


@dataclass(frozen=True, slots=True)
class Plan:
    """How a wave is to go."""

    at_once: int
    canaries: int = 0
    max_failures: int = 0
    window: Window = field(default_factory=Window)


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of the wave; `blocked`: it is being built otherwise, and cannot be begun yet."""

    id: int
    state: str
    excused: bool = False
    blocked: bool = False

    @property
    def counts(self) -> bool:
        """Whether it takes part: it is neither left out nor forgiven for having failed."""
        if self.state == MemberState.STATE_LEFT_OUT:
            return False
        return not (self.excused and self.state in (MemberState.STATE_FAILED, MemberState.STATE_CANCELLED))


@dataclass(frozen=True, slots=True)
class Decision:
    """`begin`: members whose builds are to be requested now, in this order.  `state`: what the wave becomes, None where
    it goes on.  `why`: what it waits for, or why it ends; empty where there is nothing to say."""

    begin: tuple[int, ...] = ()
    state: str | None = None
    why: str = ''


def canaries(plan: Plan, members: Sequence[Member]) -> frozenset[int]:
    """The members that go first: the first ones that take part."""
    return frozenset(member.id for member in [each for each in members if each.counts][: plan.canaries])


def decide(plan: Plan, members: Sequence[Member], now: datetime) -> Decision:
    """The next step of a running wave; `members` stand in the wave's order.

    Its words hold no numbers of machines: who reads them may see fewer than there are.
    """
    first = canaries(plan, members)
    waiting = [member for member in members if member.state == MemberState.STATE_WAITING]
    building = sum(member.state == MemberState.STATE_BUILDING for member in members)

    if why := _enough(plan, members, first):
        return Decision(state=State.STATE_STOPPED, why=why)
    if not waiting and not building:
        return Decision(state=State.STATE_COMPLETE)
    if not waiting:
        return Decision(why=_('What waited has begun; the last builds are under way.'))

    span = plan.window.span(now)
    if span is None:
        return Decision(state=State.STATE_STOPPED, why=_('The window has closed for good before everything was built.'))
    if now < span.opens:
        return Decision(why=_opens(plan, span.opens))

    next_ones = waiting if _proven(members, first) else [member for member in waiting if member.id in first]
    free = [member.id for member in next_ones if not member.blocked]
    begin = tuple(free[: max(0, plan.at_once - building)])
    if begin:
        return Decision(begin)
    if free:
        return Decision(
            why=_('As many machines are being built as may be at once: {count}.').format(count=plan.at_once)
        )
    if next_ones:
        return Decision(why=_('What comes next is being built otherwise; it waits for the end of that.'))
    return Decision(why=_('The canaries are being built; the others wait until these are complete.'))


def waits(plan: Plan, members: Sequence[Member], now: datetime) -> dict[int, str]:
    """Why each member of a running wave that waits is not being built yet, by id."""
    first = canaries(plan, members)
    waiting = [member for member in members if member.state == MemberState.STATE_WAITING]
    span = plan.window.span(now)
    if not waiting or span is None or _enough(plan, members, first):
        return {}
    if now < span.opens:
        return dict.fromkeys((member.id for member in waiting), _opens(plan, span.opens))
    proven = _proven(members, first)
    begin = set(decide(plan, members, now).begin)
    places = ngettext(
        'It waits for its turn: {count} machine is built at a time.',
        'It waits for its turn: {count} machines are built at a time.',
        plan.at_once,
    ).format(count=plan.at_once)

    def why(member: Member) -> str:
        if member.blocked:
            return _('It is being built otherwise; it waits for the end of that build.')
        if not proven and member.id not in first:
            return _('It waits until the canaries are complete.')
        return _('It comes next.') if member.id in begin else places

    return {member.id: why(member) for member in waiting}


def outcome(counts: Mapping[str, int]) -> str:
    """What became of machines, in a line, from how many there are of each state."""
    words = (
        (MemberState.STATE_DONE, _('{count} built')),
        (MemberState.STATE_FAILED, _('{count} failed')),
        (MemberState.STATE_CANCELLED, _('{count} cancelled')),
        (MemberState.STATE_LEFT_OUT, _('{count} left out')),
    )
    return ', '.join(text.format(count=counts[state]) for state, text in words if counts.get(state))


def _opens(plan: Plan, moment: datetime) -> str:
    return _('The window opens {moment}.').format(
        moment=moment.astimezone(plan.window.zone).strftime('%Y-%m-%d %H:%M %Z')
    )


def _proven(members: Sequence[Member], first: frozenset[int]) -> bool:
    return all(member.state == MemberState.STATE_DONE for member in members if member.id in first)


def _enough(plan: Plan, members: Sequence[Member], first: frozenset[int]) -> str:
    """Why the wave must not go on; empty if it may."""
    for member in members:
        if member.id in first and member.state == MemberState.STATE_FAILED:
            return _('A canary has failed.')
        if member.id in first and member.state == MemberState.STATE_CANCELLED:
            return _('The build of a canary was cancelled.')
    failed = sum(member.counts and member.state == MemberState.STATE_FAILED for member in members)
    if failed <= plan.max_failures:
        return ''
    if not plan.max_failures:
        return _('A machine has failed, and none may.')
    return _('More machines have failed than may: {count}.').format(count=plan.max_failures)
