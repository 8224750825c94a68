"""A sidecar that is killed at any point of an update owns what it made, all of it and nothing else."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from substruct_sidecar import ledger
from substruct_sidecar.dns import powerdns, rfc2136, zonefile
from substruct_sidecar.dns.server import Conflict, Unreachable
from substruct_sidecar.service import ApplyError
from substruct_sidecar.settings import Powerdns, Rfc2136, Zonefile

from ..world import World
from .conftest import MakeSite, Serve, Site, records
from .servers import FOREIGN, Bind, NameServer, PowerDnsServer, zone_text

ZONE = 'example.com'
ZONES = {ZONE: zone_text(ZONE, *FOREIGN)}

# The steps of an update: each is a point before and a point after.
STEPS: list[tuple[Any, str]] = [
    (ledger.Ledger, 'write'), (rfc2136.DnsServer, 'send'), (powerdns.PowerDns, 'send'), (zonefile.os, 'replace'),
    (zonefile, 'write_atomically'), (zonefile.Commands, 'checked'), (zonefile.Commands, 'reloaded'),
]  # fmt: skip


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in another process, which is killed at its n-th point.  False: it came to its end before."""
    child = os.fork()
    if child == 0:
        passed = 0

        def point() -> None:
            nonlocal passed
            passed += 1
            if passed == step:
                os.kill(os.getpid(), signal.SIGKILL)

        def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                point()
                found = function(*args, **kwargs)
                point()
                return found

            return call

        status = 1
        try:
            for owner, name in STEPS:
                setattr(owner, name, wrapped(getattr(owner, name)))
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def lines(server: NameServer) -> set[str]:
    return {line for line in server.everything(ZONE) if not line.startswith('_substruct.')}


class Rfc2136Case:
    def __init__(self, folder: Path, serve: Serve) -> None:
        self.server: NameServer = serve(Bind, folder / 'server', ZONES)

    def settings(self) -> dict[str, Any]:
        return {'rfc2136': Rfc2136(credential='tsig')}

    def zone(self) -> dict[str, Any]:
        return {'server': self.server.address}


class WithoutMarker(Rfc2136Case):
    def settings(self) -> dict[str, Any]:
        return {'rfc2136': Rfc2136(credential='tsig', marker='')}


class PowerdnsCase(Rfc2136Case):
    def __init__(self, folder: Path, serve: Serve) -> None:
        self.server = self.powerdns = serve(PowerDnsServer, folder / 'server', ZONES)

    def settings(self) -> dict[str, Any]:
        return {'powerdns': Powerdns(url=self.powerdns.url, credential='api')}

    def zone(self) -> dict[str, Any]:
        return {'update_method': 'powerdns'}


class ZonefileCase(Rfc2136Case):
    def __init__(self, folder: Path, serve: Serve) -> None:
        self.server = self.bind = serve(Bind, folder / 'server', {ZONE: ''}, '')

    def settings(self) -> dict[str, Any]:
        return {
            'zonefile': Zonefile(directory=str(self.bind.folder), reload=[*self.bind.rndc, 'reload'],
                                 server=self.bind.address)
        }  # fmt: skip

    def zone(self) -> dict[str, Any]:
        return {'update_method': 'zonefile', 'name_servers': ['ns1.example.net']}


@pytest.fixture(params=[Rfc2136Case, WithoutMarker, PowerdnsCase, ZonefileCase])
def case(request: pytest.FixtureRequest, tmp_path: Path, serve: Serve) -> Rfc2136Case:
    made: Rfc2136Case = request.param(tmp_path, serve)
    return made


def expected(world: World) -> set[str]:
    found = set()
    for (kind, _), record in world.objects.items():
        if kind == 'record':
            type_ = 'A' if record.type == 'address' else record.type  # type: ignore[union-attr]
            found.add(f'{record.name}. 3600 IN {type_} {record.address or record.value + "." + ZONE + "."}')  # type: ignore[union-attr, operator]
    return found


@pytest.mark.parametrize('changes_its_mind', [False, True], ids=['goes on', 'NetBox changes its mind'])
def test_whatever_point_it_is_killed_at(
    case: Rfc2136Case, tmp_path: Path, world: World, site: MakeSite, changes_its_mind: bool
) -> None:
    here = site(**case.settings())
    before = lines(case.server)
    zone = world.add_zone(ZONE, **case.zone())
    stays, moves, goes = records(
        world, zone, None, ('stays.example.com', '192.0.2.1'), ('moves.example.com', '192.0.2.2'),
        ('goes.example.com', '192.0.2.3'),
    )  # fmt: skip
    turns = world.add_record('turns.example.com', type='CNAME', value='stays', forward_zone=zone.id)
    here.apply()
    base = lines(case.server) - expected(world)  # NS records of a zone file
    assert before <= base
    here.close()

    def flip() -> None:
        """Everything that can happen to a record, and the way back."""
        if ('record', goes.id) in world.objects:
            world.change(moves, address='192.0.2.22')
            world.remove(goes)
            world.remove(turns)
            world.add_record(
                'turns.example.com', id=turns.id, address='192.0.2.4', forward_zone=zone.id, reverse_zone=None
            )
        else:
            world.change(moves, address='192.0.2.2')
            world.add(goes)
            world.add(turns)

    def work() -> None:
        child = Site(tmp_path, world, here.settings)
        child.apply(everything=True)

    step = 1
    while True:
        flip()
        world.sync()
        going_on = killed_at(step, work)
        if changes_its_mind:
            flip()
        after = Site(tmp_path, world, here.settings)
        after.apply(everything=True)
        assert lines(case.server) == base | expected(world), f'killed at point {step}'
        if not isinstance(case, ZonefileCase):
            assert after.owned() == {f'{r.split()[0][:-1]} {r.split()[3]}' for r in expected(world)}
            assert not any(key.startswith('intent') for key, _, _ in after.ledger.entries())
        assert not after.plan(everything=True)
        after.close()
        if not going_on:
            break
        step += 1
    assert step > 6

    for record in (stays, moves, goes, turns):
        if ('record', record.id) in world.objects:
            world.remove(record)
    last = Site(tmp_path, world, here.settings)
    last.apply(everything=True)
    assert lines(case.server) == base
    last.close()


@pytest.mark.parametrize('method', ['rfc2136', 'powerdns'])
def test_a_record_that_somebody_else_makes_while_the_sidecar_is_dead_is_not_taken_for_ours(
    serve: Serve, tmp_path: Path, world: World, site: MakeSite, method: str
) -> None:
    case = Rfc2136Case(tmp_path, serve) if method == 'rfc2136' else PowerdnsCase(tmp_path, serve)
    here = site(**case.settings())
    zone = world.add_zone(ZONE, **case.zone())
    here.apply()
    (found,) = records(world, zone, None, ('same.example.com', '192.0.2.1'))
    world.sync()
    here.close()
    # Point 1 is before the zone is noted, 3 before the intent, 5 before the update is sent.
    assert killed_at(5, lambda: Site(tmp_path, world, here.settings).apply(everything=True))
    after = Site(tmp_path, world, here.settings)
    assert any(key.startswith('intent') for key, _, _ in after.ledger.entries())
    assert case.server.dig('same.example.com') == []
    case.server.update(ZONE, 'update add same.example.com. 3600 A 192.0.2.1')
    after.apply(everything=True)
    assert [problem.name for problem in after.verify()] == ['same.example.com']
    assert after.owned() == set()
    world.remove(found)
    after.apply(everything=True)
    assert case.server.dig('same.example.com') == ['192.0.2.1']
    after.close()


def test_an_update_that_comes_late_comes_to_nothing(
    serve: Serve, tmp_path: Path, world: World, site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sidecar is killed, or hears nothing, while its update is still under way; the next one is quicker."""
    server = serve(Bind, tmp_path / 'server', ZONES)
    here = site()
    zone = world.add_zone(ZONE, server=server.address)
    (found,) = records(world, zone, None, ('late.example.com', '192.0.2.1'))
    sent: list[tuple[rfc2136.DnsServer, Any]] = []

    def lost(self: rfc2136.DnsServer, edits: Any) -> None:
        sent.append((self, list(edits)))
        raise Unreachable('It did not answer.', sent=True)

    with monkeypatch.context() as patch:
        patch.setattr(rfc2136.DnsServer, 'send', lost)
        with pytest.raises(ApplyError):
            here.apply()
    world.remove(found)
    here.again()
    here.apply(everything=True)
    assert here.owned() == set()
    connection, edits = sent[0]
    with pytest.raises(Conflict):
        connection.send(edits)
    connection.close()
    assert server.dig('late.example.com') == []


def test_an_update_whose_answer_was_lost_is_owned(
    serve: Serve, tmp_path: Path, world: World, site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(Bind, tmp_path / 'server', ZONES)
    here = site()
    zone = world.add_zone(ZONE, server=server.address)
    (found,) = records(world, zone, None, ('done.example.com', '192.0.2.1'))
    send = rfc2136.DnsServer.send

    def lost(self: rfc2136.DnsServer, edits: Any) -> None:
        send(self, edits)
        raise Unreachable('It did not answer.', sent=True)

    with monkeypatch.context() as patch:
        patch.setattr(rfc2136.DnsServer, 'send', lost)
        with pytest.raises(ApplyError):
            here.apply()
    assert server.dig('done.example.com') == ['192.0.2.1'] and here.owned() == set()
    world.remove(found)  # and nobody wants it any more
    here.apply(everything=True)
    assert server.dig('done.example.com') == []
