"""A day in the life of a boot server: a real NetBox on one side, real DHCP, DNS and machines' requests on the other.

The tests are one story and run in their order.
"""

import functools
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.whole import FORWARD, REVERSE, Whole, until
from tests.sidecar.dhcp.client import BIOS, HTTP, IPXE_UEFI, UEFI

MAC, OTHER_MAC = '02:00:00:60:00:11', '02:00:00:60:00:12'


@pytest.fixture(scope='module')
def site(whole: Whole) -> dict[str, int]:
    """What a network team has in NetBox before the first machine."""
    api = whole.api
    make = api.dcim.manufacturers.create(name='Maker', slug='maker')
    prefix = api.ipam.prefixes.create(prefix='10.60.0.0/24')
    lease_range = api.ipam.ip_ranges.create(start_address='10.60.0.100/24', end_address='10.60.0.150/24')
    server = whole.substruct.boot_servers.get(name=whole.boot_server)
    for zone in (FORWARD, REVERSE):
        whole.substruct.zones.create(name=zone, boot_server=server.id, update_method='rfc2136')
    whole.substruct.subnets.create(
        prefix=prefix.id, gateway='10.60.0.1', name_servers=['10.60.0.53'], domain=FORWARD, dhcp_enabled=True,
        lease_range=lease_range.id,
    )  # fmt: skip
    return {
        'site': api.dcim.sites.create(name='Berlin', slug='berlin').id,
        'role': api.dcim.device_roles.create(name='Server', slug='server').id,
        'type': api.dcim.device_types.create(manufacturer=make.id, model='M1', slug='m1').id,
    }


def make_machine(whole: Whole, site: dict[str, int], name: str, mac: str, address: str) -> int:
    """A device as people enter it; gives the id of its machine."""
    api = whole.api
    device = api.dcim.devices.create(
        name=name, site=site['site'], role=site['role'], device_type=site['type'], status='planned'
    )
    interface = api.dcim.interfaces.create(device=device.id, name='eth0', type='1000base-t')
    hardware = api.dcim.mac_addresses.create(
        mac_address=mac, assigned_object_type='dcim.interface', assigned_object_id=interface.id
    )
    interface.update({'primary_mac_address': hardware.id})
    found = api.ipam.ip_addresses.create(
        address=address, dns_name=f'{name}.{FORWARD}', assigned_object_type='dcim.interface',
        assigned_object_id=interface.id,
    )  # fmt: skip
    device.update({'primary_ip4': found.id})
    machine = whole.substruct.machines.create(device=device.id, architecture='x86_64', firmware='uefi', boot_mac=mac)
    return int(machine.id)


def test_it_finds_its_settings_good(whole):
    done = whole.command('check')
    assert done.returncode == 0, done.stdout
    assert 'Plugin 0.1.0; this is the boot server "boot-ber"' in done.stdout


def test_a_machine_entered_in_netbox_is_answered_by_dhcp_and_known_to_dns(whole, site):
    assert whole.named.dig(f'srv-1.{FORWARD}') == []
    make_machine(whole, site, 'srv-1', MAC, '10.60.0.11/24')
    until(lambda: whole.discover(MAC).address == '10.60.0.11', 'DHCP knows the machine')
    until(lambda: whole.named.dig(f'srv-1.{FORWARD}') == ['10.60.0.11'], 'DNS has its address')
    until(lambda: whole.named.dig('11.0.60.10.in-addr.arpa', 'PTR') == [f'srv-1.{FORWARD}.'], 'DNS has its name')
    assert whole.named.dig(f'old.{FORWARD}') == ['192.0.2.99'], 'what others made is as it was'
    offer = whole.discover(MAC, UEFI)
    assert (offer.address, offer.routers, offer.name_servers) == ('10.60.0.11', ['10.60.0.1'], ['10.60.0.53'])


@pytest.mark.parametrize(
    ('firmware', 'file'),
    [(BIOS, 'lpxelinux.0'), (UEFI, 'snponly.efi'), (HTTP, 'http://10.60.0.1:8080/loaders/'), (IPXE_UEFI, '/boot.ipxe')],
    ids=str,
)
def test_each_kind_of_client_is_offered_what_it_can_boot(whole, site, firmware, file):
    assert file in whole.discover(MAC, firmware).boot_file


def test_the_webhook_brings_a_change_long_before_the_poll(whole, site):
    whole.settled()
    address = whole.api.ipam.ip_addresses.get(address='10.60.0.11/24')
    began = time.monotonic()
    address.update({'address': '10.60.0.21/24'})
    until(lambda: whole.discover(MAC).address == '10.60.0.21', 'DHCP has the new address')
    print(f'\n    from the change to the answer: {time.monotonic() - began:.2f} s')
    until(lambda: whole.named.dig(f'srv-1.{FORWARD}') == ['10.60.0.21'], 'DNS has the new address')
    until(lambda: whole.named.dig('11.0.60.10.in-addr.arpa', 'PTR') == [], 'the old name has gone')
    address.update({'address': '10.60.0.11/24'})
    until(lambda: whole.discover(MAC).address == '10.60.0.11', 'DHCP has the old address again')
    metrics = whole.get_manage('/metrics')
    assert 'substruct_hooks_total{verdict="taken"}' in metrics, 'webhooks arrived, and were believed'


def test_two_machines_with_one_mac_address_are_shown_in_netbox_and_the_first_is_served(whole, site):
    second = make_machine(whole, site, 'srv-2', OTHER_MAC, '10.60.0.12/24')
    until(lambda: whole.discover(OTHER_MAC).address == '10.60.0.12', 'DHCP knows the second machine')
    hardware = whole.api.dcim.mac_addresses.get(mac_address=OTHER_MAC.upper())
    hardware.update({'mac_address': MAC})

    def told() -> list[dict]:
        server = whole.substruct.boot_servers.get(name=whole.boot_server)
        return [found for found in server.out_of_step if found['what'] == 'machine' and found['id'] == second]

    problems = until(told, 'NetBox shows the conflict')
    assert MAC in problems[0]['message'].lower()
    assert 'srv-1' in problems[0]['message']
    assert whole.discover(MAC).address == '10.60.0.11'
    hardware.update({'mac_address': OTHER_MAC})
    until(lambda: not told(), 'the conflict is over')


def test_without_netbox_machines_boot_and_what_they_report_is_kept(whole, site, build):
    token = build
    whole.lab.supervisor.down(whole.lab._web())
    until(lambda: whole.status().netbox.state == 'failing', 'the sidecar notices')
    assert whole.discover(MAC).address == '10.60.0.11'
    assert '/build/' in whole.script(MAC)
    assert whole.get(f'/build/{token}/progress', b'half of it')[0] == 200
    assert whole.get(f'/build/{token}/done', b'')[0] == 200
    assert '/build/' not in whole.script(MAC), 'it boots its own disk at once'
    for name in ('http', 'agent'):
        whole.kill(name)
    until(lambda: whole.get('/healthz')[0] == 200, 'the boot service is back')
    assert '/build/' not in whole.script(MAC), 'also after a kill'
    whole.stop_sidecar()
    began = time.monotonic()
    whole.start_sidecar()
    print(f'\n    serves without NetBox after {time.monotonic() - began:.2f} s')
    assert '/build/' not in whole.script(MAC), 'also after a start without NetBox'
    whole.lab.up()

    def complete() -> bool:
        found = whole.substruct.builds.get(machine_id=whole.substruct.machines.get(name='srv-1').id)
        return found is not None and found.state.value == 'complete'

    until(complete, 'NetBox hears of it', 60)
    kinds = [event.kind.value for event in whole.substruct.build_events.all()]
    assert kinds.count('finished') == 1, kinds
    assert {'script-fetched', 'config-fetched', 'progress'} <= set(kinds), kinds


@pytest.fixture
def source(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where a boot file can be fetched, and its SHA-256."""
    content = os.urandom(1 << 20)
    (tmp_path / 'chain.efi').write_bytes(content)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}/chain.efi', hashlib.sha256(content).hexdigest()
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def build(whole: Whole, site: dict[str, int], source: tuple[str, str]) -> str:
    """A build of srv-1 is under way; gives its token."""
    template = whole.api.extras.config_templates.create(
        name='story', template_code='#!ipxe\nkernel {{ urls.artifact.kickstart }}\n# {{ urls.done }}\n'
    )
    answers = whole.api.extras.config_templates.create(
        name='answers', template_code='rootpw --plaintext {{ secret("root-password") | quote_kickstart }}\n'
    )
    image = whole.substruct.boot_images.create(
        name='story', architecture='x86_64', method='chain', kernel_url=source[0], kernel_sha256=source[1]
    )
    profile = whole.substruct.profiles.create(name='story', slug='story', boot_image=image.id)
    whole.substruct.profile_templates.create(profile=profile.id, kind='ipxe', config_template=template.id)
    whole.substruct.profile_templates.create(profile=profile.id, kind='kickstart', config_template=answers.id)
    machine = whole.substruct.machines.get(name='srv-1')
    machine.update({'profile': profile.id})
    whole.api.http_session.post(
        f'{whole.api.base_url}/plugins/substruct/machines/{machine.id}/build/', json={},
        headers={'Authorization': f'Bearer {whole.lab.accounts.token}'},
    ).raise_for_status()  # fmt: skip
    script = until(lambda: '/build/' in (found := whole.script(MAC)) and found, 'it is to build')
    token = script.split('/build/')[1].split('/')[0]
    status, text = whole.get(f'/build/{token}/kickstart.cfg')
    assert (status, text.strip()) == (200, "rootpw --plaintext 'correct horse'")
    return token


def test_a_token_that_loses_its_permission_stops_the_news_and_nothing_else(whole, site):
    permission = whole.api.users.permissions.get(name='The sidecar of the lab')
    permission.update({'enabled': False})
    until(lambda: whole.status().netbox.state == 'failing', 'the sidecar notices')
    assert 'permission' in whole.status().netbox.message or 'feed on it' in whole.status().netbox.message
    assert whole.discover(MAC).address == '10.60.0.11'
    assert whole.named.dig(f'srv-1.{FORWARD}') == ['10.60.0.11']
    permission.update({'enabled': True})
    until(lambda: whole.status().netbox.state == 'ok', 'it goes on')


def test_a_feed_that_has_lost_everything_is_refused_until_a_person_accepts_it(whole, site):
    for number in range(12):
        make_machine(whole, site, f'more-{number}', f'02:00:00:60:01:{number:02x}', f'10.60.0.{30 + number}/24')
    until(lambda: whole.discover('02:00:00:60:01:0b').address == '10.60.0.41', 'all are known')
    server = whole.substruct.boot_servers.get(name=whole.boot_server)
    prefixes = [prefix.id for prefix in server.prefixes]
    server.update({'prefixes': []})
    until(lambda: 'refused until a person' in whole.status().netbox.message, 'it is refused')
    assert whole.discover(MAC).address == '10.60.0.11'
    assert whole.named.dig(f'srv-1.{FORWARD}') == ['10.60.0.11']
    shown = whole.command('plan', 'state')
    assert (shown.returncode, 'more-11' in shown.stdout) == (1, True), shown.stdout
    server.update({'prefixes': prefixes})
    until(lambda: whole.status().netbox.state == 'ok', 'it goes on')
    assert 'nothing of what NetBox says was refused' in whole.command('plan', 'state').stdout


def test_the_commands_say_how_it_is(whole, site):
    shown = whole.command('show', MAC)
    assert 'srv-1' in shown.stdout
    assert '10.60.0.11/24 in 10.60.0.0/24, primary' in shown.stdout
    plan = whole.command('plan', 'dhcp', 'dns')
    assert plan.returncode == 0, plan.stdout
    assert '0 to add, 0 to change, 0 to remove' in plan.stdout
    status = whole.command('status')
    assert 'boot-ber' in status.stdout
    assert 'dhcp         kea: ok' in status.stdout, status.stdout


def test_no_secret_is_in_the_log(whole):
    said = whole.said()
    assert 'correct horse' not in said
    assert whole.lab.accounts.token_secret not in said
    assert (whole.folder / 'token').read_text().split('.')[1] not in said
