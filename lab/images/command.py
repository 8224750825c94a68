"""`bin/lab images`: makes what the lab's machines install, when it is not there, and says where it stands."""

import argparse
from typing import TYPE_CHECKING

from lab.images import disk_image, installer
from lab.progress import Progress

if TYPE_CHECKING:
    from lab.cli import Commands


def register(commands: 'Commands') -> None:
    text = 'make the disk image and fetch the installer that machines of the rack install, if they are not there'
    commands.add_parser('images', help=text, description=text).set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    progress = Progress()
    image, debian = disk_image(progress), installer(progress)
    print(
        f'{image.path}\n    {image.size / 1e6:.0f} MB, {image.raw_size / 1e6:.0f} MB on the disk, sha256 {image.sha256}'
    )
    print(f'{debian.kernel}\n    sha256 {debian.kernel_sha256}')
    print(f'{debian.initrd}\n    sha256 {debian.initrd_sha256}')
    return 0
