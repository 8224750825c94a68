"""Seeding from beginning to end, in one transaction; it needs a configured Django."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import transaction

from dcim.models import Device, Site
from ipam.models import Prefix
from virtualization.models import VirtualMachine

from lab.errors import LabError
from lab.seeding import bulk, indexing
from lab.seeding.inventory import Inventory
from lab.seeding.plan import Plan
from lab.seeding.provisioning import Provisioning
from netbox_substruct.models import Machine

ROWS = 100_000  # held in memory at a time


@dataclass
class Summary:
    """What was written: rows by name of model, seconds by phase, and what could not be done."""

    plan: Plan
    rows: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def total_rows(self) -> int:
        return sum(self.rows.values())


def seed(
    machines: int,
    seed: int = 1,
    *,
    say: Callable[[str], object] | None = None,
    search: bool = True,
    under_way: bool = True,
) -> Summary:
    """Fill NetBox with a data centre of that many machines.

    `say` is given a line now and then.  Without `search` the global search does not find what was seeded.  With
    `under_way` a few builds are requested besides, and these alone have times of today.
    Raises ValueError for a number that is too small or too large, LabError when NetBox is not empty.
    """
    summary = Summary(Plan(machines, seed))
    begun = time.monotonic()
    phases = _Phases(summary, say or (lambda _line: None), begun)
    with transaction.atomic():
        _refuse_what_is_there()
        book = bulk.Book()
        inventory = Inventory(summary.plan, book)
        provisioning = Provisioning(summary.plan, book, inventory)
        book.open()
        with phases.phase('sites, racks, networks, servers, cables'):
            inventory.shared()
            done = 0
            for site in summary.plan.sites:
                for written in inventory.site(site):
                    done += written
                    book.flush(at=ROWS)
                    phases.tick(f'{done:,} servers and virtual machines')
            book.flush()
            inventory.finish()
        with phases.phase('machines, profiles, subnets, builds'):
            provisioning.write()
        with phases.phase('foreign keys'):
            book.finish()
        if search:
            with phases.phase('global search'):
                summary.rows['CachedValue'] = indexing.index(book.sheets)
        with phases.phase('statistics'):
            book.analyze()
        requested = 0
        if under_way:
            with phases.phase('builds under way'):
                requested = provisioning.under_way()
        begun_commit = time.monotonic()
    summary.seconds['commit'] = time.monotonic() - begun_commit
    for sheet in book.sheets:
        summary.rows[sheet.model._meta.object_name or ''] = sheet.written
    summary.rows['Build'] += requested
    summary.notes += provisioning.notes
    return summary


def _refuse_what_is_there() -> None:
    for model in (Site, Device, VirtualMachine, Prefix, Machine):
        if count := model.objects.count():
            name = model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural
            raise LabError(
                f'NetBox holds {count:,} {name} already, and only an empty one is seeded; '
                'bin/lab reset forgets everything, bin/lab up begins anew'
            )


class _Phases:
    """Tells how far things are, at most once a second within a phase, and keeps how long each took."""

    def __init__(self, summary: Summary, say: Callable[[str], object], begun: float) -> None:
        self._summary, self._say, self._begun, self._told = summary, say, begun, begun

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        took = self._summary.seconds[name] = time.monotonic() - begun
        self._say(f'{time.monotonic() - self._begun:7.1f} s  {name}: {took:.1f} s')

    def tick(self, what: str) -> None:
        if time.monotonic() - self._told >= 2:
            self._told = time.monotonic()
            self._say(f'{self._told - self._begun:7.1f} s    {what}')
