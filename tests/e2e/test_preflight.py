"""Preflight from end to end: NetBox asks the real sidecar, and that the real DHCP and name servers.  Nothing boots."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.rack import Machine, Rack
from tests.e2e.building import Builder
from tests.e2e.rack import until

SECRET = 'of-preflight'
SCRIPT = f'#!/bin/sh\nset -- {{{{ secret("{SECRET}") | quote_shell }}}}\n'
type Steps = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope='module')
def machine(rack: Rack) -> Iterator[Machine]:
    """Registered, and never switched on."""
    found = rack.machine('looked-at', firmware='uefi')
    found.register('172.30.0.71', profile=Builder(rack).script_profile('Looked at', SCRIPT))
    rack.settled()
    yield found


def looked(rack: Rack, machine: Machine) -> tuple[dict[str, Any], Steps]:
    """The preflight once every boot server has answered anew, and its steps by their keys."""
    url = f'{machine.netbox().url}preflight/'
    session, header = rack.netbox.http_session, {'Authorization': f'Bearer {rack.netbox.token}'}
    asked = session.post(url, headers=header)
    assert asked.status_code == 202, asked.text
    assert asked.json()['waiting']

    def answered() -> Any:
        found = session.get(url, headers=header).json()
        return not found['waiting'] and found

    report = until(answered, 'the boot server answers', 60)
    steps: Steps = {}
    for step in report['steps']:
        steps.setdefault(step['key'], []).append(step)
    return report, steps


def told(steps: Steps, key: str) -> dict[str, str]:
    """What boot servers say of a step: words → outcome."""
    return {step['words']: step['outcome'] for step in steps.get(key, []) if step['source']}


def secret_of(rack: Rack) -> Path:
    folder = rack.folder / 'sidecar' / 'secrets'
    folder.mkdir(exist_ok=True)
    return folder / SECRET


def test_a_machine_that_has_all_it_needs_is_told_so_by_its_boot_server(rack, machine):
    secret_of(rack).write_text('correct horse')
    report, steps = looked(rack, machine)
    shown = '\n'.join(f'{step["outcome"]} {step["key"]}: {step["words"]}' for step in report['steps'])
    print(f'\n{shown}')
    assert not report['blocked'], shown
    assert [server['state'] for server in report['servers']] == ['answered'], shown
    assert list(told(steps, 'known').values()) == ['ok'], shown
    (words, outcome), *others = told(steps, 'dhcp').items()
    assert (outcome, others) == ('ok', []), shown
    assert 'offers UEFI 172.30.0.71 and snponly.efi from' in words, 'the daemon itself was asked'
    assert set(told(steps, 'loader').values()) == {'ok'}, shown
    assert list(told(steps, 'script').values()) == ['ok'], shown
    assert told(steps, 'files') == {'The prospector for x86_64 is here.': 'ok'}, shown
    assert list(told(steps, 'secrets').values()) == ['ok'], shown
    assert 'correct horse' not in shown


def test_looking_leaves_no_trace_of_the_machine(rack, machine):
    record = machine.netbox()
    assert (record.state.value, record.last_seen, machine.builds()) == ('registered', None, [])


def test_what_is_missing_on_the_boot_server_keeps_a_build_from_being_requested_until_it_is_mended(rack, machine):
    secret_of(rack).unlink()
    report, steps = looked(rack, machine)
    assert report['blocked']
    assert list(told(steps, 'secrets').values()) == ['failure']
    refused = rack.netbox.http_session.post(
        f'{machine.netbox().url}build/', json={}, headers={'Authorization': f'Bearer {rack.netbox.token}'}
    )
    assert refused.status_code == 422
    assert f'There is no secret "{SECRET}"' in refused.json()['detail']
    secret_of(rack).write_text('correct horse')
    report, _ = looked(rack, machine)
    assert not report['blocked']
    Builder(rack).request(machine)
