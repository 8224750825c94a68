"""How many of what, and where: pure arithmetic over the number of machines and the seed.  Nothing here knows Django.

The layout is the same everywhere: a site has rows of 16 racks and one rack for the row's two spine switches; a rack has
24 servers, two top-of-rack switches, one switch for out-of-band management, a VLAN and a /24 of its own.

    10.0.0.0/8                  all                          2001:db8::/32
      10.(16 s).0.0/12          site s, counted from 1         2001:db8:s::/48
        .0.0/14                 servers, a /24 per rack          2001:db8:s:r::/64
        .8.0.0/14               virtual machines, a /22 per cluster
    10.(16 s + 12).0.0/14       out-of-band, a /26 per rack, in a VRF of its own
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

LARGEST = 100_000

SERVERS_PER_RACK = 24
RACKS_PER_ROW = 16
ROWS_PER_HALL = 8
VMS_PER_CLUSTER = 400

# (up to so many machines, so many sites)
_SITES = ((400, 1), (3_000, 2), (12_000, 4), (40_000, 6), (LARGEST, 10))


@dataclass(frozen=True)
class Rack:
    """One rack of servers.  `number` and the numbers of its `servers` count within the site, from 0."""

    site: int
    number: int
    servers: range

    @property
    def row(self) -> int:
        return self.number // RACKS_PER_ROW

    @property
    def place(self) -> int:
        """Within the row, from 0."""
        return self.number % RACKS_PER_ROW

    @property
    def name(self) -> str:
        return f'{row_name(self.row)}{self.place + 1:02d}'

    @property
    def hosts_virtual_machines(self) -> bool:
        return self.number % 8 == 0

    @property
    def dual_stack(self) -> bool:
        return self.number % 2 == 0

    @property
    def net4(self) -> str:
        """The first three octets of the servers' /24."""
        return f'10.{16 * self.site + (self.number >> 8)}.{self.number & 255}'

    @property
    def net6(self) -> str:
        """The /64 up to its double colon."""
        return f'2001:db8:{self.site:x}:{self.number:x}'

    def oob(self, host: int) -> str:
        """An address in the rack's out-of-band /26; host 0 is the network itself."""
        value = self.number * 64 + host
        return f'10.{16 * self.site + 12 + (value >> 16)}.{value >> 8 & 255}.{value & 255}'


@dataclass(frozen=True)
class Cluster:
    """One cluster of hypervisors; `machines` are the numbers of its virtual machines within the site."""

    site: int
    number: int
    machines: range

    def address(self, host: int) -> str:
        """An address in the cluster's /22; host 0 is the network itself."""
        value = self.number * 1024 + host
        return f'10.{16 * self.site + 8 + (value >> 16)}.{value >> 8 & 255}.{value & 255}'


@dataclass(frozen=True)
class Site:
    """`number` counts from 1; `first_server` and `first_vm` are what was counted at the sites before."""

    number: int
    servers: int
    virtual_machines: int
    first_server: int
    first_vm: int

    @cached_property
    def racks(self) -> tuple[Rack, ...]:
        step = SERVERS_PER_RACK
        return tuple(
            Rack(self.number, number, range(first, min(first + step, self.servers)))
            for number, first in enumerate(range(0, self.servers, step))
        )

    @cached_property
    def rows(self) -> tuple[tuple[Rack, ...], ...]:
        step = RACKS_PER_ROW
        return tuple(self.racks[first : first + step] for first in range(0, len(self.racks), step))

    @cached_property
    def clusters(self) -> tuple[Cluster, ...]:
        step = VMS_PER_CLUSTER
        return tuple(
            Cluster(self.number, number, range(first, min(first + step, self.virtual_machines)))
            for number, first in enumerate(range(0, self.virtual_machines, step))
        )


@dataclass(frozen=True)
class Plan:
    """`machines` is the number of Substruct's machines: registered servers and virtual machines, and discovered ones.

    A few servers more stand in NetBox without being registered, and so do all switches.
    """

    machines: int
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.machines <= LARGEST:
            raise ValueError(f'the number of machines is {self.machines:,}; it can be 1 to {LARGEST:,}')

    @property
    def discovered(self) -> int:
        return 0 if self.machines < 10 else min(40, max(1, self.machines // 100))

    @property
    def virtual_machines(self) -> int:
        return self.machines // 10

    @property
    def registered_servers(self) -> int:
        return self.machines - self.virtual_machines - self.discovered

    @property
    def unregistered_servers(self) -> int:
        return 0 if self.machines < 10 else max(1, self.machines // 50)

    @property
    def servers(self) -> int:
        return self.registered_servers + self.unregistered_servers

    def is_registered(self, server: int) -> bool:
        """Whether a server, counted over all sites, is one of Substruct's machines; the others are spread evenly."""
        left, all_ = self.unregistered_servers, self.servers
        return server * left // all_ == (server + 1) * left // all_

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        count = next(sites for most, sites in _SITES if self.machines <= most)
        servers, vms = _shares(self.servers, count), _shares(self.virtual_machines, count)
        return tuple(
            Site(number + 1, servers[number], vms[number], sum(servers[:number]), sum(vms[:number]))
            for number in range(count)
        )

    def chance(self, *what: object) -> random.Random:
        """Numbers that depend on the seed and on what they are for, and on nothing else."""
        return random.Random('/'.join(map(str, (self.seed, *what))))  # noqa: S311


def row_name(number: int) -> str:
    """A to Z, then AA, AB, and so on."""
    name = ''
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(ord('A') + letter) + name
    return name


class Scrambled:
    """Numbers below `size` that look random, each once: a walk around a ring in steps that are prime to its size."""

    def __init__(self, chance: random.Random, size: int, step: int) -> None:
        self._numbers = self._walk(chance.randrange(size), size, step)

    @staticmethod
    def _walk(start: int, size: int, step: int) -> Iterator[int]:
        number = start
        for _count in range(size):
            yield number
            number = (number + step) % size
        raise OverflowError(f'all {size} numbers are used')

    def __next__(self) -> int:
        return next(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return self._numbers


def _shares(total: int, count: int) -> list[int]:
    return [total // count + (number < total % count) for number in range(count)]
