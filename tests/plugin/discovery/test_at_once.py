"""Discovery while others do something with the same machine: nobody undoes what another did, and nothing is made twice.

Each test has a database of its own in which transactions are really committed.
"""

import threading
import time
from contextlib import contextmanager

import msgspec
import pytest
from django.db import connection, transaction

from dcim.models import Device
from ipam.models import IPAddress
from users.models import User

from netbox_substruct.discovery import adoption, merging, taking
from netbox_substruct.discovery.errors import Incomplete
from netbox_substruct.identity import Identity
from netbox_substruct.lifecycle import machines
from netbox_substruct.models import Machine

from ..lifecycle.test_at_once import at_once
from .world import NICS, SERIAL, UUID, a_device, a_world, discovered, server

pytestmark = pytest.mark.usefixtures('committed')


@contextmanager
def meanwhile(function):
    """Runs a function in another transaction, which waits for a lock of ours by the time that the block is entered."""
    outcome = []

    def target():
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=target)
    thread.start()
    deadline = time.monotonic() + 60
    while thread.is_alive() and not _somebody_waits():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield outcome


def _somebody_waits():
    with connection.cursor() as cursor:
        cursor.execute('SELECT count(*) FROM pg_locks WHERE NOT granted AND pid != pg_backend_pid()')
        return cursor.fetchone()[0] > 0


def ended(outcome):
    deadline = time.monotonic() + 60
    while not outcome:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return outcome[0]


def choices(world, machine, **changes):
    return msgspec.structs.replace(adoption.defaults(machine)[0], name='srv-7', role=world.role.pk, **changes)


def test_of_several_people_who_adopt_one_machine_at_once_one_does_and_the_others_are_told():
    world, machine = a_world(), discovered()
    admin = User.objects.create_superuser('admin')
    chosen = choices(world, machine, primary_ip='next')
    seen = adoption.propose(machine, chosen)

    def adopt():
        return adoption.carry_out(Machine.objects.get(pk=machine.pk), chosen, seen.digest, user=admin)

    outcomes = at_once(3, adopt)
    won = [each for each in outcomes if isinstance(each, adoption.Outcome)]
    lost = [each for each in outcomes if isinstance(each, Incomplete)]
    assert (len(won), len(lost)) == (1, 2), outcomes
    assert all('adopted already' in str(error) for error in lost), lost
    device = Device.objects.get(name='srv-7')
    assert Machine.objects.get().device == device
    assert IPAddress.objects.filter(address='10.8.1.2/24').count() == 1


def test_a_machine_that_was_waited_for_comes_with_the_device_that_it_has_become():
    world, machine = a_world(), discovered()
    device = a_device(world, 'srv-7')

    def look():
        with transaction.atomic():
            return machines.lock(machine.pk).object

    with transaction.atomic():
        held = machines.lock(machine.pk)
        with meanwhile(look) as outcome:
            held.device = device
            held.save()
    assert ended(outcome) == device


def test_two_machines_that_are_adopted_at_once_do_not_get_one_address():
    world, first = a_world(), discovered()
    second = discovered(
        server(system__serial='OTHER1', chassis__serial='OTHER1', system__uuid='11111111-2222-4333-8444-555555555555',
               chassis__asset_tag=None, system__asset_tag=None, bmc=None, interfaces=[
                   {'name': 'eno1', 'mac': '02:00:00:00:00:77', 'boot': True, 'addresses': ['10.8.1.109/24']}])
    )  # fmt: skip
    asked = {
        machine.pk: msgspec.structs.replace(choices(world, machine, primary_ip='next'), name=f'srv-{machine.pk}')
        for machine in (first, second)
    }
    left = [first, second]

    def adopt():
        machine = left.pop()
        return adoption.carry_out(machine, asked[machine.pk], adoption.propose(machine, asked[machine.pk]).digest)

    outcomes = at_once(2, adopt)
    given = [str(each) for each in IPAddress.objects.filter(address__net_host_contained='10.8.1.0/24')]
    assert len(given) == len(set(given)) == sum(isinstance(each, adoption.Outcome) for each in outcomes), outcomes


def test_facts_that_arrive_while_a_machine_is_moved_do_not_move_it_back():
    world = a_world()
    machine = machines.register(a_device(world, 'srv-7', serial=SERIAL))

    def report():
        with transaction.atomic():
            return taking.take(None, Identity.of(UUID, SERIAL, NICS), source='prospector',
                               collected=machine.created, format_version=1, data=server())  # fmt: skip

    with transaction.atomic():
        held = machines.lock(machine.pk)
        with meanwhile(report) as outcome:
            machines.set_state(held, 'building')
    assert ended(outcome) == machine
    machine.refresh_from_db()
    assert (machine.state, str(machine.uuid), machine.firmware) == ('building', UUID, 'uefi')


def test_a_machine_that_is_moved_while_another_is_merged_into_it_stays_where_it_was_moved():
    world, found = a_world(), discovered()
    registered = machines.register(a_device(world, 'srv-7', serial='OTHER'))

    def merge():
        with transaction.atomic():
            return merging.merge(Machine.objects.get(pk=found.pk), Machine.objects.get(pk=registered.pk))

    with transaction.atomic():
        held = machines.lock(registered.pk)
        with meanwhile(merge) as outcome:
            machines.set_state(held, 'building')
    assert ended(outcome) == registered
    registered.refresh_from_db()
    assert (registered.state, str(registered.uuid)) == ('building', UUID)
