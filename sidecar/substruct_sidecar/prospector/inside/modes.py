"""What is done in the modes that change a machine: image, script, wipe.

Each tells the boot server how it goes, and what became of it, before the machine goes on.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from . import choice, handover, image, install, job, seed, wipe
from .facts import disks as disk_facts
from .report import Ended, Failed, Report

if TYPE_CHECKING:
    from .main import Prospector

# Percents: what comes before the image, and the image itself.
_CHOSEN, _WRITTEN = 2.0, 90.0
# Seconds before orders are asked for after a build that is not begun: it may be what is ordered again.
PAUSE = 10.0
# What has ended here, until the machine is rebooted: /init starts the prospector again with the same arguments if it
# ever ends by itself.  The build that is not to be begun anew; that the disks were erased, and how.
_ENDED, _WIPED = Path('/run/prospector/ended'), Path('/run/prospector/wiped')


def carry_out(self: 'Prospector') -> None:
    """A build.  It returns only if it failed, or was a script; the machine that got an image reboots."""
    report = Report(self.arguments.build, self.say)
    self.failed = ''
    if (reason := _ended_before(self.arguments.build)) is not None:
        # The prospector was started again by /init, with the same arguments: what has ended is not begun anew.
        self.failed = reason or 'It has ended on this machine before.'
        self.say(f'The build is not begun again. {self.failed}')
        if reason:
            report.failed(reason, self.console.log())  # perhaps that was not heard
        time.sleep(PAUSE)
        return
    try:
        if not self.arguments.build:
            raise Failed('The kernel argument substruct.build is missing: there is no build to carry out.')
        if self.arguments.mode == 'image':
            _image(self, report)
        else:
            _script(self, report)
    except Ended:
        # Nobody waits for a report of it any more.
        self.failed = 'It was cancelled, or another build has taken its place.'
        self.say(f'STOPPED: the build goes on no further. {self.failed}')
        _ENDED.write_text(f'{self.arguments.build}\n')
        return
    except Failed as error:
        self.failed = str(error)
    except Exception as error:  # a fault of our own ends the build too, and is told
        self.failed = f'The prospector has a fault of its own: {type(error).__name__}: {error}.'
    if self.failed:
        self.say(f'FAILED: {self.failed}')
        _ENDED.write_text(f'{self.arguments.build}\n{self.failed}')
        if self.arguments.build:
            report.failed(self.failed, self.console.log())
        # Orders are followed from here on; the same build is not begun again by itself.
        return
    _ENDED.write_text(f'{self.arguments.build}\n')
    if self.arguments.mode == 'image':
        handover.reboot(self.say, self.console.flush)


def _ended_before(build: str) -> str | None:
    """Why a build has failed here before; '' where it has ended otherwise, None where it was never begun."""
    try:
        known, _, reason = _ENDED.read_text().partition('\n')
    except OSError:
        return None
    return reason if build and known == build else None


def _disks(self: 'Prospector') -> list[choice.Disk]:
    return [disk_facts.disk(self.source, name) for name in disk_facts.names(self.source)]


def _disk(self: 'Prospector', wanted: str) -> choice.Disk:
    """Raises Failed."""
    complete = self.wait_for_devices()
    if not complete and wanted in choice.BY_SIZE:
        raise Failed(
            f'Not all drivers of this machine have come up, so a disk may be missing: which one is meant by "{wanted}" '
            'cannot be said. Name the disk in the profile, or see on the console which driver is missing.'
        )
    try:
        return choice.choose(_disks(self), wanted)
    except choice.NoChoice as error:
        raise Failed(str(error)) from None


def _image(self: 'Prospector', report: Report) -> None:
    arguments = self.arguments
    if not arguments.image:
        raise Failed('The kernel argument substruct.image is missing: there is no image to write.')
    # What cannot be put into the image later is asked for while nothing is destroyed yet.
    fetched = seed.fetch(report.artifact)
    parts = seed.complete(fetched, f'substruct-{hashlib.sha256(arguments.build.encode()).hexdigest()[:12]}')
    disk = _disk(self, arguments.disk)
    path = str(disk['path'])
    # A build that was cancelled while the machine booted has no artifacts any more, and is not to destroy anything.
    report.begin(_CHOSEN, f'writing the image to {choice.describe(disk)}')

    def progress(fetched: int, size: int | None, written: int) -> None:
        share = fetched / size if size else 0.0
        of = f' of {size / 1e6:.0f}' if size else ''
        percent = _CHOSEN + (_WRITTEN - _CHOSEN) * share
        report.progress(percent, f'fetched {fetched / 1e6:.0f}{of} MB, written {written / 1e6:.0f} MB', always=False)

    done = image.write(arguments.image, arguments.sha256, path, self.say, progress)
    self.say(f'{path}: {done.written / 1e6:.0f} MB are written; SHA-256 {done.sha256}')
    if not done.checked:
        self.say('The boot image has no SHA-256 in NetBox, so nobody can say whether this is the right one')
    report.progress(_WRITTEN, f'{done.written / 1e6:.0f} MB are on {path}')
    install.Install(path, self.say).run(parts, os.uname().machine, self.uefi)
    if 'user-data' in fetched:
        report.log(self.console.log())
        report.finishing('The image is written and set up; it reboots, and cloud-init goes on')
    else:
        report.progress(99.0, 'finishing: it reboots')
        report.done(self.console.log())


def _script(self: 'Prospector', report: Report) -> None:
    content = report.artifact('script.sh')
    self.wait_for_devices()
    report.begin(5.0, 'running the script')
    if content is None:
        raise Failed('The build has no artifact of the kind "script" to run.')
    log = job.run(content, report, self.say, self.environment())
    report.done(log)


def wipe_disks(self: 'Prospector') -> None:
    complete = self.wait_for_devices()
    found = wipe.wipe(_disks(self), self.say)
    done = [one.document() for one in found]
    self.extra['wiped'] = cast(object, done)
    for one in found:
        if not one.ok:
            self.source.problem(f'wipe: {one.path} was not erased: {"; ".join(one.failures)}')
    if not complete:
        self.source.problem('wipe: not all drivers have come up; a disk may be missing')
    if not found:
        self.say('NO DISK WAS ERASED: this machine has none of its own, or no driver for it')
        self.source.problem('wipe: no disk was found')
    elif complete and all(one.ok for one in found):
        self.say(f'All disks are erased ({len(found)})')
    else:
        self.say('NOT ALL DISKS ARE ERASED')
    # The machine has nothing to boot; it waits here for what comes next.
    self.wiped = True
    _WIPED.write_text(json.dumps(done))


def was_wiped(self: 'Prospector') -> bool:
    """Whether its disks were erased before the prospector was started again.  Meanwhile something may stand on them."""
    try:
        done = json.loads(_WIPED.read_text())
    except (OSError, ValueError):
        return False
    self.extra['wiped'] = done
    self.wiped = True
    self.say('The disks of this machine were erased before; that is not done again')
    return True
