"""What a change in NetBox does to what clients are told, with every backend; what cannot be served; what is refused."""

import msgspec
import pytest

from substruct_sidecar.desired import Boot, Machine, Subnet
from substruct_sidecar.plan import Limits, Plan, Unsafe
from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC
from tests.sidecar.dhcp.client import BIOS, HTTP, IPXE_UEFI, UEFI, Client, Client6, NoAnswer
from tests.sidecar.dhcp.conftest import Served
from tests.sidecar.dhcp.expect import boots, does_not_boot
from tests.sidecar.net import Lan
from tests.sidecar.world import World

MAC = '02:00:00:00:01:{:02x}'.format


def a_lan(world: World, **values: object) -> Subnet:
    values = {'gateway': '10.60.0.1', 'lease_range': ('10.60.0.100', '10.60.0.150'), 'lease_time': 1800, **values}
    return world.add_subnet(Lan.NEAR4, **values)


def a_rack(world: World, machines: int = 4, **values: object) -> list[Machine]:
    """A subnet with machines srv-1, srv-2, …, that have MAC(1), MAC(2), … and 10.60.0.11, 10.60.0.12, …"""
    a_lan(world, **values)
    return [
        world.add_machine(f'srv-{number}', mac=MAC(number), address=f'10.60.0.{10 + number}/24')
        for number in range(1, machines + 1)
    ]


def address_of(network: Served, number: int) -> str:
    return Client(network.link, MAC(number)).lease().yiaddr


def is_settled(network: Served) -> None:
    """Nothing is left to be done, and the daemon's own checker is content."""
    assert network.left().summary() == '0 to add, 0 to change, 0 to remove'
    network.backend.check()


def messages(plan: Plan) -> dict[str, str]:
    found: dict[str, str] = {}
    for problem in plan.problems:
        found[problem.name] = f'{found.get(problem.name, "")} {problem.message}'
    return found


def test_machines_come_change_and_go(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    fresh.start()
    assert [address_of(fresh, number) for number in (1, 4)] == ['10.60.0.11', '10.60.0.14']

    fresh.world.add_machine('srv-9', mac=MAC(9), address='10.60.0.19/24')
    plan = fresh.apply()
    assert plan.count('add') >= 1 and plan.count('remove') == 0
    ack = Client(fresh.link, MAC(9), UEFI).lease()
    assert (ack.yiaddr, ack.hostname) == ('10.60.0.19', 'srv-9')
    boots(ack, UEFI)

    fresh.world.change(machines[1], hostname='renamed')
    fresh.apply()
    assert Client(fresh.link, MAC(2)).lease().hostname == 'renamed'

    fresh.world.remove(machines[2])
    fresh.apply()
    assert address_of(fresh, 3) != '10.60.0.13'
    assert [address_of(fresh, number) for number in (1, 4)] == ['10.60.0.11', '10.60.0.14']
    is_settled(fresh)


def test_a_machine_gets_another_address_and_the_old_one_no_more(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    fresh.start()
    client = Client(fresh.link, MAC(1))
    old = client.lease()
    fresh.world.change(machines[0], interfaces=[fresh.world.interface(mac=MAC(1), address='10.60.0.31/24')])
    fresh.apply()
    # It may keep what it has until it asks again, but it is not told anew that this is right.
    client.patience = 1.5
    for how in ('reboot', 'renew'):
        try:
            answer = client.reboot('10.60.0.11') if how == 'reboot' else client.renew(old)
        except NoAnswer:
            continue
        assert answer.type == 'nak' or answer.yiaddr == '10.60.0.31'
    assert address_of(fresh, 1) == '10.60.0.31'
    # Somebody else may have the old one at once, although it was leased.
    fresh.world.add_machine('heir', mac=MAC(8), address='10.60.0.11/24')
    fresh.apply()
    assert address_of(fresh, 8) == '10.60.0.11'
    is_settled(fresh)


def test_two_machines_exchange_their_addresses(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    fresh.start()
    assert [address_of(fresh, 1), address_of(fresh, 2)] == ['10.60.0.11', '10.60.0.12']
    for machine, mac, address in ((machines[0], MAC(1), '10.60.0.12/24'), (machines[1], MAC(2), '10.60.0.11/24')):
        fresh.world.change(machine, interfaces=[fresh.world.interface(mac=mac, address=address)])
    fresh.apply()
    # Each had leased what is the other's now: the first who comes back must be told so.
    assert [address_of(fresh, 1), address_of(fresh, 2)] == ['10.60.0.12', '10.60.0.11']
    is_settled(fresh)


def test_a_machine_gets_another_network_card(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    fresh.start()
    assert address_of(fresh, 1) == '10.60.0.11'
    interface = fresh.world.interface(mac=MAC(99), address='10.60.0.11/24')
    fresh.world.change(machines[0], interfaces=[interface], boot_mac=MAC(99))
    fresh.apply()
    assert address_of(fresh, 99) == '10.60.0.11'
    assert address_of(fresh, 1) != '10.60.0.11'
    is_settled(fresh)


def test_a_machine_that_is_built_is_offered_no_boot_file_any_more(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    fresh.world.change(machines[0], boot=Boot(action='build', reason='', local_method='no-offer'))
    fresh.start()
    boots(Client(fresh.link, MAC(1), UEFI).lease(), UEFI)

    # The sidecar was told so by the machine; NetBox does not know it yet.
    fresh.world.state.touch('machine', [machines[0].id])
    fresh.apply(finished=(machines[0],))
    for firmware in (BIOS, UEFI, IPXE_UEFI):
        ack = Client(fresh.link, MAC(1), firmware).lease()
        assert ack.yiaddr == '10.60.0.11'
        does_not_boot(ack)
    boots(Client(fresh.link, MAC(2), UEFI).lease(), UEFI)

    # NetBox knows it, and asks for the next build later.
    fresh.world.boots(machines[0], 'local', 'no-offer')
    fresh.apply()
    does_not_boot(Client(fresh.link, MAC(1), UEFI).lease())
    fresh.world.change(
        machines[0],
        build=fresh.world.build(machines[0]),
        boot=Boot(action='build', reason='', local_method='no-offer'),
    )
    fresh.apply()
    boots(Client(fresh.link, MAC(1), UEFI).lease(), UEFI)
    is_settled(fresh)


def test_a_subnet_changes_comes_and_goes(fresh: Served) -> None:
    a_rack(fresh.world)
    lan = fresh.world.objects['subnet', 1]
    fresh.start()
    fresh.world.change(lan, gateway='10.60.0.2', domain='new.example.com', lease_time=900)
    fresh.apply()
    ack = Client(fresh.link, MAC(1)).lease()
    assert (ack.routers, ack.domain, ack.lease_time) == (['10.60.0.2'], 'new.example.com', 900)

    far = fresh.world.add_subnet(Lan.FAR4, gateway='10.61.0.1')
    fresh.world.add_machine('far', mac=MAC(50), address='10.61.0.50/24')
    fresh.apply()
    relayed = Client(fresh.relay(), MAC(50), BIOS)
    ack = relayed.lease()
    assert (ack.yiaddr, ack.routers) == ('10.61.0.50', ['10.61.0.1'])
    boots(ack, BIOS)

    fresh.world.remove(far)
    fresh.apply()
    assert relayed.hears_nothing(Client(fresh.link, MAC(1)))
    assert address_of(fresh, 1) == '10.60.0.11'
    is_settled(fresh)


def test_the_boot_server_moves_to_another_address(fresh: Served) -> None:
    a_rack(fresh.world)
    fresh.start()
    boots(Client(fresh.link, MAC(1), IPXE_UEFI).lease(), IPXE_UEFI)
    server = fresh.world.boot_server
    fresh.world.boot_server = msgspec.structs.replace(server, base_url='http://10.60.0.7:81/')
    fresh.apply()
    ack = Client(fresh.link, MAC(1), IPXE_UEFI).lease()
    assert str(ack.boot_file).startswith('http://10.60.0.7:81/boot.ipxe?')
    assert Client(fresh.link, MAC(2), UEFI).lease().siaddr == '10.60.0.7'
    is_settled(fresh)


def test_a_boot_file_set_by_hand_is_what_everybody_boots_and_nothing_else(fresh: Served) -> None:
    a_rack(fresh.world)
    lan = fresh.world.objects['subnet', 1]
    fresh.start()
    options = {'boot-file-name': 'custom.efi', 'tftp-server-name': '10.9.9.9'}
    fresh.world.change(lan, dhcp_options=options)
    fresh.apply()
    for firmware in (BIOS, UEFI, HTTP, IPXE_UEFI):
        ack = Client(fresh.link, MAC(1), firmware, wants=(66, 67)).lease()
        assert (ack.yiaddr, ack.text(66), ack.text(67)) == ('10.60.0.11', '10.9.9.9', 'custom.efi')
        assert (ack.siaddr, ack.file) == ('0.0.0.0', '')  # many ROMs look there first
    fresh.world.change(lan, dhcp_options={})
    fresh.apply()
    boots(Client(fresh.link, MAC(1), UEFI).lease(), UEFI)
    is_settled(fresh)


def test_discovery_is_turned_on_and_off(fresh: Served) -> None:
    a_rack(fresh.world)
    lan = fresh.world.objects['subnet', 1]
    fresh.start()
    if not fresh.backend.can('discovery'):
        return
    stranger = Client(fresh.link, MAC(77), UEFI)
    does_not_boot(stranger.lease())
    fresh.world.change(lan, discovery_enabled=True)
    fresh.apply()
    boots(stranger.lease(), UEFI)
    # It is given a name and an address in NetBox and is not to boot.
    fresh.world.add_machine('found', mac=MAC(77), address='10.60.0.77/24', boot='nothing')
    fresh.apply()
    ack = stranger.lease()
    assert (ack.yiaddr, ack.hostname) == ('10.60.0.77', 'found')
    does_not_boot(ack)
    fresh.world.change(lan, discovery_enabled=False)
    fresh.apply()
    does_not_boot(Client(fresh.link, MAC(78), UEFI).lease())


def test_a_machine_changes_over_ipv6(fresh: Served) -> None:
    a_rack(fresh.world)
    fresh.world.add_subnet(Lan.NEAR6, lease_range=('2001:db8:60::1000', '2001:db8:60::1fff'))
    six = fresh.world.add_machine('six', mac=MAC(60), address=['10.60.0.60/24', '2001:db8:60::60/64'])
    fresh.start()
    if not fresh.backend.can('v6'):
        return
    client = Client6(fresh.link, MAC(60), duid='ll')
    assert client.lease().addresses == ('2001:db8:60::60',)
    interface = fresh.world.interface(mac=MAC(60), address=['10.60.0.60/24', '2001:db8:60::61/64'])
    fresh.world.change(six, interfaces=[interface])
    fresh.world.add_machine('seven', mac=MAC(61), address='2001:db8:60::71/64')
    fresh.apply()
    assert client.lease().addresses == ('2001:db8:60::61',)
    assert Client6(fresh.link, MAC(61), duid='ll').lease().addresses == ('2001:db8:60::71',)
    is_settled(fresh)


def test_everything_is_still_so_after_restarts(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    fresh.start()
    fresh.world.add_machine('srv-9', mac=MAC(9), address='10.60.0.19/24')
    fresh.world.remove(machines[3])
    fresh.world.change(machines[1], hostname='renamed')
    fresh.apply()

    fresh.backend.restart_daemon()
    assert [address_of(fresh, number) for number in (1, 9)] == ['10.60.0.11', '10.60.0.19']
    assert Client(fresh.link, MAC(2)).lease().hostname == 'renamed'
    assert address_of(fresh, 4) != '10.60.0.14'

    fresh.backend.restart_service()
    is_settled(fresh)
    fresh.world.change(machines[1], hostname='renamed-again')
    fresh.apply()
    assert Client(fresh.link, MAC(2)).lease().hostname == 'renamed-again'
    is_settled(fresh)


def test_verify_is_content_with_what_was_applied(fresh: Served) -> None:
    a_rack(fresh.world)
    fresh.start()
    with fresh.world.view() as view, fresh.lan.server.entered():
        assert [str(problem) for problem in fresh.backend.service.verify(view)] == []
        assert [str(found) for found in fresh.backend.service.check() if found.verdict == 'error'] == []


def test_the_first_desired_state_is_empty(fresh: Served) -> None:
    a_lan(fresh.world)
    fresh.start()
    assert Client(fresh.link, HAND_WRITTEN_MAC).lease().yiaddr == HAND_WRITTEN_ADDRESS
    fresh.world.add_machine('srv-1', mac=MAC(1), address='10.60.0.11/24')
    fresh.apply()
    assert address_of(fresh, 1) == '10.60.0.11'


# What cannot be served


def test_two_machines_with_one_mac_address(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    thief = fresh.world.add_machine('thief', mac=MAC(1), address='10.60.0.41/24')
    plan = fresh.start()
    assert [address_of(fresh, number) for number in (1, 2)] == ['10.60.0.11', '10.60.0.12']
    found = messages(plan)
    assert MAC(1) in found['srv-1'] and MAC(1) in found['thief'] and 'srv-1' in found['thief']

    # The older one goes: the other may have it.
    fresh.world.remove(machines[0])
    fresh.apply()
    assert address_of(fresh, 1) == '10.60.0.41'
    assert thief.name not in messages(fresh.left())
    is_settled(fresh)


def test_two_machines_with_one_address(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    fresh.start()
    fresh.world.add_machine('late', mac=MAC(40), address='10.60.0.11/24')
    plan = fresh.apply()
    found = messages(plan)
    assert '10.60.0.11' in found['late'] and 'srv-1' in found['late']
    assert address_of(fresh, 1) == '10.60.0.11'
    assert address_of(fresh, 40) != '10.60.0.11'

    fresh.world.change(machines[0], interfaces=[fresh.world.interface(mac=MAC(1), address='10.60.0.51/24')])
    fresh.apply()
    assert [address_of(fresh, 1), address_of(fresh, 40)] == ['10.60.0.51', '10.60.0.11']
    is_settled(fresh)


def test_an_address_outside_its_subnet_and_a_name_that_is_none(fresh: Served) -> None:
    a_rack(fresh.world)
    stray = fresh.world.address('172.16.0.1/24', subnet=1)
    interface = msgspec.structs.replace(fresh.world.interface(mac=MAC(42)), addresses=[stray])
    fresh.world.add_machine('stray', interfaces=[interface])
    fresh.world.add_machine('broadcast', mac=MAC(43), address='10.60.0.255/24')
    fresh.world.add_machine('badname', mac=MAC(44), address='10.60.0.44/24', hostname='no host_name!')
    plan = fresh.start()
    found = messages(plan)
    assert '172.16.0.1' in found['stray']
    assert '10.60.0.255' in found['broadcast']
    assert 'no host_name!' in found['badname']
    ack = Client(fresh.link, MAC(44), UEFI).lease()
    assert (ack.yiaddr, ack.hostname) == ('10.60.0.44', None)
    boots(ack, UEFI)
    assert [address_of(fresh, number) for number in (1, 2, 3, 4)] == [f'10.60.0.1{number}' for number in (1, 2, 3, 4)]
    is_settled(fresh)


def test_a_lease_range_outside_its_subnet_and_overlapping_prefixes(fresh: Served) -> None:
    a_rack(fresh.world, lease_range=('10.99.0.1', '10.99.0.9'))
    fresh.world.add_subnet('10.61.0.0/24')
    fresh.world.add_subnet('10.61.0.0/25', vrf='red')
    plan = fresh.start()
    assert 'lease range' in messages(plan)[Lan.NEAR4]
    assert any('10.61.0.0' in problem.name for problem in plan.problems)
    assert address_of(fresh, 1) == '10.60.0.11'
    is_settled(fresh)


# What is somebody else's


def test_what_is_written_by_hand_stays_and_is_served(fresh: Served) -> None:
    machines = a_rack(fresh.world)
    fresh.start()
    before = fresh.backend.hand_written()
    assert before
    fresh.world.remove(machines[3])
    fresh.world.add_machine('srv-9', mac=MAC(9), address='10.60.0.19/24')
    fresh.world.add_subnet(Lan.FAR4)
    fresh.apply()
    assert fresh.backend.hand_written() == before
    assert Client(fresh.link, HAND_WRITTEN_MAC).lease().yiaddr == HAND_WRITTEN_ADDRESS


# What is refused


@pytest.mark.parametrize('full', (False, True), ids=('incremental', 'full'))
def test_when_everything_is_suddenly_gone_the_plan_is_refused_and_everybody_is_served(
    fresh: Served, full: bool
) -> None:
    a_rack(fresh.world, machines=30)
    fresh.start()
    fresh.world.clear()
    for _ in range(2):  # and it stays refused
        with pytest.raises(Unsafe, match='refused until a person has looked at it'):
            fresh.apply(full=full)
        full = True
    for number in (1, 30):
        ack = Client(fresh.link, MAC(number), UEFI).lease()
        assert (ack.yiaddr, ack.hostname) == (f'10.60.0.{10 + number}', f'srv-{number}')
        boots(ack, UEFI)
    fresh.backend.restart_daemon()
    assert address_of(fresh, 7) == '10.60.0.17'


def test_when_every_machine_is_renamed_the_plan_is_refused(fresh: Served) -> None:
    machines = a_rack(fresh.world, machines=30)
    fresh.start()
    for machine in machines:
        fresh.world.change(machine, hostname='all-the-same')
    with pytest.raises(Unsafe):
        fresh.apply()
    assert Client(fresh.link, MAC(1)).lease().hostname == 'srv-1'


def test_machines_without_their_subnets_are_not_lost_either(fresh: Served) -> None:
    a_rack(fresh.world, machines=30)
    fresh.start()
    fresh.world.remove(fresh.world.objects['subnet', 1])
    with pytest.raises(Unsafe):
        fresh.apply(full=True)
    assert address_of(fresh, 1) == '10.60.0.11'


def test_a_refused_plan_that_a_person_accepts_is_carried_out(fresh: Served) -> None:
    machines = a_rack(fresh.world, machines=30)
    fresh.start()
    for machine in machines[1:]:
        fresh.world.remove(machine)
    changed = fresh.world.changes()
    with fresh.world.view() as view, pytest.raises(Unsafe):
        fresh.backend.apply(view, changed)
    with fresh.world.view() as view:
        fresh.backend.apply(view, limits=Limits(removed=1.0, changed=1.0))
    assert address_of(fresh, 1) == '10.60.0.11'
    assert address_of(fresh, 2) != '10.60.0.12'
    is_settled(fresh)
