"""`bin/lab demo`: NetBox, the sidecar and a rack of three machines, told until each of them runs from its own disk."""

import argparse
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lab import prospector, sidecar
from lab.demo.catalogue import Catalogue
from lab.demo.story import PATIENCE, Part, Story
from lab.demo.view import Lines, Live, summary
from lab.errors import LabError
from lab.images import DiskImage, debian, disk_image
from lab.progress import Progress
from lab.rack.namespace import lacks
from lab.rack.rack import Rack
from lab.rack.spec import Spec

if TYPE_CHECKING:
    from lab.cli import Commands
    from lab.stack import Lab

DESCRIPTION = """\
A NetBox with the plugin, a sidecar with DHCP and DNS, and three virtual machines, of which NetBox knows two: all are
powered on, found, and installed from a disk image until they run from their own disks.  Everything stays up to look at;
bin/lab reset removes it."""


def cast(profile: int) -> list[Part]:
    """The machines; `profile` is NetBox's number of the one that they get."""
    return [
        Part(Spec('web-1', firmware='bios'), profile, adopted_as='web-1'),
        Part(Spec('db-1', firmware='uefi'), profile, '172.30.0.12'),
        Part(Spec('app-1', firmware='bios'), profile, '172.30.0.13'),
    ]


def register(commands: 'Commands') -> None:
    command = commands.add_parser(
        'demo', help='three machines that install themselves, and where to look', description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.add_argument(
        '--unattended', action='store_true',
        help='a line for each thing that happens; exit code 0 only if every machine runs from its own disk',
    )  # fmt: skip
    command.add_argument('--machines', type=int, default=0, help='seed NetBox with so many others too (default: none)')
    command.add_argument(
        '--patience', type=float, default=PATIENCE, metavar='SECONDS',
        help='after which it has failed (default: %(default)s)',
    )  # fmt: skip
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from lab.stack import Lab

    lab = Lab()
    missing = lacks('kea') + debian.lacks()
    if missing:
        why = 'Machines cannot be shown here; that needs\n  - ' + '\n  - '.join(missing)
        if arguments.unattended:
            raise LabError(why)
        return without_machines(lab, arguments.machines or 300, why)
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Beside NetBox's migrations, which take minutes the first time; each is made once and kept.
        making = pool.submit(materials)
        lab.up()
        if arguments.machines and lab.is_empty():
            seed(arguments.machines)
        image, discovery = wait_for(making, lab)
    rack = Rack(lab)
    rack.up(prospector=discovery)
    catalogue = Catalogue(rack)
    profile = catalogue.profile('Debian 12', catalogue.image(image))
    look = f'{lab.url}plugins/substruct/machines/'
    lab.progress.say(f'\n  Look on:  {look}   ({lab.accounts.username} / {lab.accounts.password})\n')
    view = Live() if sys.stdout.isatty() and not arguments.unattended else Lines()
    story = Story(rack, cast(profile), view.happened, view.look)
    try:
        well = story.tell(arguments.patience)
    except KeyboardInterrupt:
        view.end()
        print('\nThe machines go on by themselves; make demo goes on telling.')
        well = False
    view.end()
    print(f'\n{summary(story.actors)}\n{where_to_look(lab, rack)}')
    if not well:
        print_consoles(story)
    return 0 if well else 1


def materials() -> tuple[DiskImage, Path]:
    """What the machines boot and install.  It is silent, for something else is on the screen."""
    quiet = Progress(lambda _text: None)
    return disk_image(quiet), prospector.ensure()


def wait_for(making: Future[tuple[DiskImage, Path]], lab: 'Lab') -> tuple[DiskImage, Path]:
    if making.done():
        return making.result()
    with lab.progress.step('making the disk image and the prospector, once', '2-4 min'):
        return making.result()


def seed(machines: int) -> None:
    from lab.cli import main

    if main(['seed', '--machines', str(machines)]):
        raise LabError('NetBox could not be seeded')


def without_machines(lab: 'Lab', machines: int, why: str) -> int:
    """What can be shown without a rack: NetBox with a data centre of machines that are only said to be, a sidecar."""
    from lab.cli import where_to_look as where_netbox_is

    lab.up()
    if lab.is_empty():
        seed(machines)
    sidecar.up(lab)
    print(where_netbox_is(lab) + sidecar.where_to_look(lab))
    print(why)
    return 0


def where_to_look(lab: 'Lab', rack: Rack) -> str:
    return f"""
  machines    {lab.url}plugins/substruct/machines/
  builds      {lab.url}plugins/substruct/builds/
  sign in     {lab.accounts.username} / {lab.accounts.password}
  consoles    bin/lab rack console web-1 -f      screens: bin/lab rack screenshot web-1 web-1.png
  power       bin/lab rack power web-1 cycle     (it boots its own disk)
  sidecar     http://127.0.0.1:{rack.doors.manage}/healthz, /metrics
  stop        bin/lab down      (bin/lab reset also forgets everything)
"""


def print_consoles(story: Story) -> None:
    for actor in story.actors:
        if actor.failed:
            print(f'The end of the console of {actor.name}:\n{actor.machine.console.tail(25)}')
