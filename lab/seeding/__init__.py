"""A realistic data centre for NetBox, of any size up to 100,000 machines, in seconds for 10,000.

    plan.py          how many of what, and where: pure arithmetic over the number of machines and the seed
    catalogue.py     what data centres are made of: cities, models, roles, operating systems
    bulk.py          rows into tables by COPY, with what NetBox's save() and signals would have filled in
    hardware.py      switches and servers: what plugs into what
    inventory.py     NetBox's own objects, from regions to cables
    provisioning.py  Substruct's objects: subnets, profiles, machines, builds
    indexing.py      the entries of NetBox's global search
    run.py           all of it, in one transaction

The same number and seed give the same data, whatever the day: dates stand around `catalogue.REFERENCE`.  Only primary
keys depend on what the database held before.  Everything is written in one transaction, so a killed run leaves nothing.

`seed` works on the database that Django is configured for; `bin/lab seed` calls it inside the lab's NetBox.
"""

from typing import TYPE_CHECKING, Any

from lab.seeding.plan import LARGEST, Plan

if TYPE_CHECKING:
    from lab.seeding.run import Summary

__all__ = ('LARGEST', 'Plan', 'seed')


def seed(machines: int, seed: int = 1, **options: Any) -> 'Summary':
    """Fill NetBox with that many machines; see `run.seed`.  Django must be configured."""
    from lab.seeding.run import seed as run

    return run(machines, seed, **options)
