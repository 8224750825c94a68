"""What becomes of a disk in the modes that change a machine: nothing, where the build no longer stands or a disk may be
missing."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from substruct_sidecar.prospector.inside import modes, tools, web, wipe
from substruct_sidecar.prospector.inside.arguments import Arguments
from substruct_sidecar.prospector.inside.choice import Disk
from substruct_sidecar.prospector.inside.console import Console
from substruct_sidecar.prospector.inside.main import Prospector

from .serving import Server
from .test_image import IMAGE

OLD = b'OLD!' * (2 << 20)


class Machine:
    """The prospector on a machine with one disk, which is a file."""

    def __init__(self, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / 'disk'
        self.file.write_bytes(OLD)
        self.disk: Disk = {'path': str(self.file), 'size_bytes': len(OLD), 'transport': 'sata'}
        self.server = server
        self.rebooted = threading.Event()
        server.files['/image'] = IMAGE
        self.arguments = Arguments(
            mode='image', url=server.url, build=f'{server.url}/build/t0k', image=f'{server.url}/image', disk='only'
        )
        monkeypatch.setattr(modes, '_ENDED', folder / 'ended')
        monkeypatch.setattr(modes, '_WIPED', folder / 'wiped')
        monkeypatch.setattr(modes, '_disks', lambda _: [self.disk])
        monkeypatch.setattr(modes.install.Install, 'run', lambda *_: None)
        monkeypatch.setattr(modes.handover, 'reboot', lambda *_: self.rebooted.set())
        monkeypatch.setattr(modes, 'PAUSE', 0.0)
        monkeypatch.setattr(web, 'delays', lambda: iter([0.0] * 1000))
        self.prospector = self.started()

    def started(self, mode: str = 'image', complete: bool = True) -> Prospector:
        """As /init starts it."""
        self.prospector = Prospector(replace(self.arguments, mode=mode), Console())
        self.prospector.wait_for_devices = lambda: complete  # type: ignore[method-assign]
        return self.prospector

    @property
    def untouched(self) -> bool:
        return self.file.read_bytes() == OLD

    @property
    def console(self) -> str:
        return self.prospector.console.log()


@pytest.fixture
def machine(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, server, monkeypatch)


def test_an_image_is_written_and_the_machine_reboots(machine: Machine) -> None:
    modes.carry_out(machine.prospector)
    assert machine.file.read_bytes().startswith(IMAGE)
    assert machine.rebooted.is_set()
    assert machine.server.texts('done')


class TestABuildThatNoLongerStands:
    def test_cancelled_while_the_machine_booted_it_leaves_the_disk_as_it_is(self, machine: Machine) -> None:
        machine.server.ended = True
        modes.carry_out(machine.prospector)
        assert machine.untouched
        assert 'STOPPED' in machine.console
        assert not machine.rebooted.is_set()

    def test_unknown_to_the_boot_server_it_leaves_the_disk_as_it_is(self, machine: Machine) -> None:
        machine.server.errors = [404] * 100
        modes.carry_out(machine.prospector)
        assert machine.untouched
        assert 'STOPPED' in machine.console

    def test_it_is_not_begun_anew_when_the_prospector_is_started_again(self, machine: Machine) -> None:
        machine.server.ended = True
        modes.carry_out(machine.prospector)
        machine.server.ended = False
        modes.carry_out(machine.started())
        assert machine.untouched

    def test_why_it_failed_is_told_again_when_the_prospector_is_started_again(self, machine: Machine) -> None:
        machine.server.files['/image'] = b'no image'
        modes.carry_out(machine.prospector)
        (told,) = machine.server.texts('failed')
        modes.carry_out(machine.started())
        assert [text.splitlines()[0] for text in machine.server.texts('failed')] == [told.splitlines()[0]] * 2

    def test_nothing_is_destroyed_before_the_boot_server_has_answered(self, machine: Machine) -> None:
        seen = []

        def slowly() -> None:
            time.sleep(0.3)
            seen.append(machine.untouched)

        machine.server.on_post = slowly
        modes.carry_out(machine.prospector)
        assert seen[0]
        assert machine.rebooted.is_set()

    def test_cancelled_while_the_image_is_not_to_be_had_it_is_noticed(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr('substruct_sidecar.prospector.inside.report.STILL', 0.0)
        machine.server.broken = {'/image'}
        machine.server.on_post = lambda: setattr(machine.server, 'ended', True)
        done = threading.Thread(target=modes.carry_out, args=(machine.prospector,), daemon=True)
        done.start()
        done.join(30.0)
        assert not done.is_alive(), machine.console
        assert machine.untouched

    def test_a_script_of_it_is_not_run(self, machine: Machine, tmp_path: Path) -> None:
        machine.server.files['/build/t0k/script.sh'] = f'touch {tmp_path}/ran\n'.encode()
        machine.server.ended = True
        modes.carry_out(machine.started('script'))
        assert not (tmp_path / 'ran').exists()


class TestDisksThatMayBeMissing:
    @pytest.mark.parametrize('wanted', ['only', 'smallest'])
    def test_no_disk_is_chosen_by_comparing_while_drivers_are_missing(self, machine: Machine, wanted: str) -> None:
        machine.arguments = replace(machine.arguments, disk=wanted)
        modes.carry_out(machine.started(complete=False))
        assert machine.untouched
        assert 'a disk may be missing' in machine.server.texts('failed')[0].splitlines()[0]

    def test_a_disk_that_is_named_is_written_all_the_same(self, machine: Machine) -> None:
        machine.arguments = replace(machine.arguments, disk=str(machine.file))
        modes.carry_out(machine.started(complete=False))
        assert machine.file.read_bytes().startswith(IMAGE)


class TestWiping:
    @pytest.fixture(autouse=True)
    def tools(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Files know no discard; wipefs and sgdisk are not what is tested here."""
        monkeypatch.setattr(wipe, 'run', lambda *_, **__: tools.Done(0, '', ''))

    def test_what_was_written_to_the_disk_after_it_was_wiped_stays(self, machine: Machine) -> None:
        modes.wipe_disks(machine.started('wipe'))
        assert not machine.file.read_bytes().strip(b'\0')
        machine.file.write_bytes(b'restored')
        again = machine.started('wipe')
        assert modes.was_wiped(again)
        assert again.wiped
        assert again.extra['wiped'] == [{**again.extra['wiped'][0], 'ok': True}]  # type: ignore[index]

    def test_a_machine_that_was_not_wiped_yet_is(self, machine: Machine) -> None:
        assert not modes.was_wiped(machine.started('wipe'))

    def test_a_machine_without_disks_is_not_said_to_be_erased(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(modes, '_disks', lambda _: [])
        modes.wipe_disks(machine.started('wipe'))
        assert 'NO DISK WAS ERASED' in machine.console
        assert 'All disks are erased' not in machine.console
        assert 'wipe: no disk was found' in machine.prospector.source.problems

    def test_a_disk_that_is_read_only_is_told_of_as_not_erased(self, machine: Machine) -> None:
        machine.disk['read_only'] = True
        modes.wipe_disks(machine.started('wipe'))
        assert machine.untouched
        assert 'NOT ALL DISKS ARE ERASED' in machine.console
        (one,) = machine.prospector.extra['wiped']  # type: ignore[attr-defined]
        assert (one['ok'], one['failures']) == (False, ['it is read-only'])

    def test_with_drivers_missing_it_is_not_said_that_all_are_erased(self, machine: Machine) -> None:
        modes.wipe_disks(machine.started('wipe', complete=False))
        assert 'NOT ALL DISKS ARE ERASED' in machine.console


def test_facts_that_are_refused_do_not_keep_a_machine_from_its_orders(machine: Machine) -> None:
    prospector = machine.started('discover')
    machine.server.errors = [413]
    prospector.facts = lambda: b'{"data": {}}'  # type: ignore[method-assign]
    prospector._tell_first()
    assert 'does not take the facts: 413' in machine.console
