"""What the boot server wants: asking, and understanding the answer."""

import json

import pytest

from substruct_sidecar.boot.scripts import KINDS
from substruct_sidecar.prospector.inside import orders, web

from .serving import Server

IDENTITY: dict[str, object] = {
    'uuid': '4c4c4544-0042-3510-8054-b7c04f4d3332', 'serial': 'SN 1',
    'macs': ['52:54:00:00:00:01', '52:54:00:00:00:02'],
}  # fmt: skip


def test_all_answers_of_the_boot_server_are_known() -> None:
    assert set(orders.ACTIONS) == set(KINDS)


def test_the_card_that_was_booted_from_is_named_first() -> None:
    me = orders.who(IDENTITY, '52:54:00:00:00:02', 'x86_64', uefi=True)
    assert me.macs == ('52:54:00:00:00:02', '52:54:00:00:00:01')
    assert orders.orders_url('http://b', me) == (
        'http://b/orders?mac=52:54:00:00:00:02,52:54:00:00:00:01&uuid=4c4c4544-0042-3510-8054-b7c04f4d3332&serial=SN+1'
        '&arch=x86_64&platform=efi'
    )
    assert orders.script_url('http://b', me).startswith('http://b/boot.ipxe?mac=52-54-00-00-00-02,52-54-')


def test_a_card_that_is_not_there_is_not_named() -> None:
    assert orders.who(IDENTITY, '02:00:00:00:00:09', 'x86_64', uefi=False).macs[0] == '52:54:00:00:00:01'


def test_an_answer(server: Server) -> None:
    said = {
        'format_version': 1,
        'machine': 'web1',
        'action': 'build',
        'reason': 'It is to be built.',
        'wait': True,
        'again': 7,
    }
    server.files['/orders'] = json.dumps(said).encode()
    me = orders.who(IDENTITY, '', 'x86_64', uefi=True)
    assert orders.ask(server.url, me) == orders.Orders('build', 'web1', 'It is to be built.', True, 7.0)


@pytest.mark.parametrize('again', [-5, 0, 10**9, None, 'soon', float('inf')])
def test_it_is_never_asked_too_often_or_never_again(again: object) -> None:
    assert 2.0 <= orders.read({'action': 'local', 'again': again}).again <= 300.0


@pytest.mark.parametrize('said', [None, [], {}, {'action': 'explode'}, {'action': ['wipe']}, 'wipe'])
def test_what_is_not_understood_is_not_obeyed(said: object) -> None:
    with pytest.raises(web.WebError, match='not understood'):
        orders.read(said)


def test_a_machine_stays_unless_it_is_told_to_go() -> None:
    assert orders.read({'action': 'local'}).wait is True
    assert orders.read({'action': 'local', 'wait': False}).wait is False
