"""What machines install in the lab: a Debian disk image, and the Debian installer's kernel and initrd.

Both are made of the distribution's packages, once, and kept in the cache outside the tree (`kept`): the disk image by
`tree` (what stands in its file system) and `disk` (partitions and boot loaders), the installer by `installer`.  Nothing
of the host is changed, and no loop device or mount is needed.
"""

from lab.images.debian import DiskImage, disk_image
from lab.images.installer import Installer, installer

__all__ = ('DiskImage', 'Installer', 'disk_image', 'installer')
