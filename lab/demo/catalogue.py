"""What machines of the rack can become: boot images of the lab's own files, profiles, and templates between them.

Everything is looked for first and made only where it is missing, so it may be run again at any time, and what a user
has changed stays.  It uses the API alone, as any script of a user's could.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.images import DiskImage, Installer
from lab.rack.seed import get_or_create

if TYPE_CHECKING:
    from lab.rack.rack import Rack

IMAGE, INSTALLER = 'Debian 12 image', 'Debian 12 installer'

# A console on the serial port, where the lab reads.  The installer takes the card that has a link.
INSTALLER_ARGUMENTS = (
    'auto=true priority=critical url={{ urls.artifact.preseed }} interface=auto DEBIAN_FRONTEND=text '
    'console=tty0 console=ttyS0,115200n8'
)

# The library's templates, as they are called in NetBox.
LIBRARY = {
    'preseed': 'Substruct: debian/preseed',
    'user-data': 'Substruct: cloud-init/user-data',
    'meta-data': 'Substruct: cloud-init/meta-data',
    'network-config': 'Substruct: cloud-init/network-config',
}


class Catalogue:
    def __init__(self, rack: 'Rack') -> None:
        self.rack = rack
        self.api = rack.netbox
        self.substruct = self.api.plugins.substruct
        self.platform = get_or_create(
            self.api.dcim.platforms, {'slug': 'debian-12'}, name='Debian 12', slug='debian-12'
        ).id

    def image(self, found: DiskImage, name: str = IMAGE) -> int:
        """The boot image of a disk image, and cloud-init's templates with it."""
        url = self.publish(found.path)
        key = self._boot_image(name, 'disk-image', disk_image_url=url, disk_image_sha256=found.sha256)
        for kind in ('user-data', 'meta-data', 'network-config'):
            self.template(kind, boot_image=key)
        return key

    def installer(self, found: Installer, name: str = INSTALLER, arguments: str = INSTALLER_ARGUMENTS) -> int:
        """The boot image of an installer, and its answers."""
        initrd = {'source': self.publish(found.initrd), 'sha256': found.initrd_sha256}
        key = self._boot_image(
            name, 'installer', kernel_url=self.publish(found.kernel), kernel_sha256=found.kernel_sha256,
            initrds=[initrd], arguments=arguments,
        )  # fmt: skip
        self.template('preseed', boot_image=key)
        return key

    def script(self, name: str, text: str) -> int:
        """A boot image that only runs a script in the prospector."""
        key = self._boot_image(name, 'script')
        self.template('script', text, boot_image=key)
        return key

    def _boot_image(self, name: str, method: str, **values: Any) -> int:
        found = get_or_create(
            self.substruct.boot_images, {'name': name}, name=name, method=method, architecture='x86_64',
            platform=self.platform, **values,
        )  # fmt: skip
        # A newer file takes the place of the older one.
        files = {key: value for key, value in values.items() if key != 'arguments'}
        if any(getattr(found, key) != value for key, value in files.items()):
            found.update(files)
        return int(found.id)

    def template(self, kind: str, text: str = '', **owner: int) -> int:
        """The template of that kind of a profile or a boot image: the library's, or one with this text."""
        [(word, key)] = owner.items()
        template = self._written(f'Lab: {kind} {key}', text) if text else self._library(LIBRARY[kind])
        found = get_or_create(
            self.substruct.profile_templates, {f'{word}_id': key, 'kind': kind}, kind=kind, config_template=template,
            **owner,
        )  # fmt: skip
        return int(found.id)

    def _written(self, name: str, text: str) -> int:
        found = get_or_create(self.api.extras.config_templates, {'name': name}, name=name, template_code=text)
        return int(found.id)

    def _library(self, name: str) -> int:
        found = self.api.extras.config_templates.get(name=name)
        if found is None:
            raise LabError(f'NetBox has no config template "{name}"; bin/lab manage substruct_library mends that')
        return int(found.id)

    def profile(self, name: str, boot_image: int, **values: Any) -> int:
        """A profile for machines with one disk; a device is active when it is built."""
        slug = name.lower().replace(' ', '-')
        given = {'disk_layout': {'disk': 'only'}, 'built_status': 'active', **values}
        found = get_or_create(
            self.substruct.profiles, {'slug': slug}, name=name, slug=slug, boot_image=boot_image, **given
        )
        return int(found.id)

    def publish(self, path: Path) -> str:
        """Where the rack's sidecar may fetch a file from: its URL."""
        # By its own name and that of its folder, which has the version: a newer one does not change an older one.
        place = self.rack.files / path.parent.name
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        target = place / path.name
        if not target.exists():
            beside = target.with_name(f'.{target.name}.{os.getpid()}')
            try:
                os.link(path, beside)
            except OSError:  # another file system
                shutil.copyfile(path, beside)
            beside.replace(target)
        return target.as_uri()
