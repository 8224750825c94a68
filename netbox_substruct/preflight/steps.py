"""What preflight says: steps, in the order in which a machine comes to them.  Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

type Outcome = Literal['ok', 'warning', 'failure', 'unknown']

# The steps with their titles, in the order of the chain.  Those of a newer boot server come after them.
TITLES: dict[str, Promise | str] = {
    'machine': gettext_lazy('Machine and profile'),
    'boot-server': gettext_lazy('Boot server'),
    'known': gettext_lazy('Known to the boot server'),
    'address': gettext_lazy('Address'),
    'dhcp': 'DHCP',
    'loader': gettext_lazy('Boot loader'),
    'script': gettext_lazy('Boot script'),
    'files': gettext_lazy('Boot files'),
    'configuration': gettext_lazy('Installer configuration'),
    'secrets': gettext_lazy('Secrets'),
    'dns': 'DNS',
    'bmc': 'BMC',
    'disks': gettext_lazy('Disks'),
    'cabling': gettext_lazy('Cabling'),
}
_ORDER = {key: number for number, key in enumerate(TITLES)}
_WORST = {'failure': 0, 'warning': 1, 'unknown': 2, 'ok': 3}


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go to mend it."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Step:
    """`source` is the boot server that says it, '' for NetBox; `time` is when it was looked at, None for just now.

    `blocking`: a build would surely not succeed, and is refused.
    """

    key: str
    outcome: Outcome
    words: str
    remedy: str = ''
    link: Link | None = None
    blocking: bool = False
    source: str = ''
    time: datetime | None = None

    @property
    def title(self) -> str:
        return str(TITLES.get(self.key, self.key))

    @property
    def age(self) -> str:
        return age(self.time) if self.time is not None else ''


@dataclass(frozen=True, slots=True)
class Group:
    """The steps of one title."""

    key: str
    title: str
    outcome: Outcome
    steps: tuple[Step, ...]


def age(time: datetime) -> str:
    """How long ago a time was, in the words of one unit."""
    seconds = max(0, int((timezone.now() - time).total_seconds()))
    for unit, words in ((86400, _('{count} d ago')), (3600, _('{count} h ago')), (60, _('{count} min ago'))):
        if seconds >= unit:
            return words.format(count=seconds // unit)
    return _('{count} s ago').format(count=seconds)


def in_order(steps: list[Step]) -> tuple[Step, ...]:
    """In the order of the chain; what was said of one step stays in its order."""
    return tuple(sorted(steps, key=lambda step: _ORDER.get(step.key, len(_ORDER))))


def worst(steps: tuple[Step, ...]) -> Outcome:
    """What stands for all of them: the worst; of no steps nothing is known."""
    return min((step.outcome for step in steps), key=lambda outcome: _WORST[outcome], default='unknown')


def groups(steps: tuple[Step, ...]) -> tuple[Group, ...]:
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.key, []).append(step)
    return tuple(Group(key, members[0].title, worst(tuple(members)), tuple(members)) for key, members in found.items())
