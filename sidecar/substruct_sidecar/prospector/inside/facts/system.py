"""What the machine is as a whole: system, board, chassis, firmware, TPM, processors and memory."""

import os
from collections.abc import Callable

from . import smbios
from .source import Source, clean, number

_EFI = 'sys/firmware/efi'
# The variables that UEFI itself defines (UEFI 2.10, 3.3).
_GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c'
# What hypervisors write into the table of the firmware.
_HYPERVISORS = (
    ('qemu', 'QEMU'), ('kvm', 'KVM'), ('vmware', 'VMware'), ('virtualbox', 'VirtualBox'), ('innotek', 'VirtualBox'),
    ('xen', 'Xen'), ('bochs', 'Bochs'), ('parallels', 'Parallels'), ('bhyve', 'bhyve'), ('google compute', 'Google'),
    ('amazon ec2', 'Amazon'), ('openstack', 'OpenStack'), ('nutanix ahv', 'Nutanix'), ('virtual machine', 'Hyper-V'),
    ('ovirt', 'oVirt'), ('rhev', 'oVirt'), ('cloud hypervisor', 'Cloud Hypervisor'),
)  # fmt: skip


def table(source: Source) -> smbios.Table:
    return smbios.table(
        source.bytes('sys/firmware/dmi/tables/smbios_entry_point'), source.bytes('sys/firmware/dmi/tables/DMI')
    )


def _said(source: Source, name: str, otherwise: str | None) -> str | None:
    """As the kernel has read it, or as it stands in the table."""
    return source.text(f'sys/class/dmi/id/{name}') or otherwise


def system(source: Source) -> dict[str, object]:
    one = table(source).first(1)
    manufacturer = _said(source, 'sys_vendor', one.text(4))
    product = _said(source, 'product_name', one.text(5))
    serial, uuid = identity(source)
    hypervisor = _hypervisor(source, f'{manufacturer} {product}')
    if manufacturer is None and product is None:
        # Boards without this table (many ARM boards) are described by a device tree.
        product = clean((source.bytes('proc/device-tree/model') or b'').rstrip(b'\0'))
    found: dict[str, object] = {
        'manufacturer': manufacturer, 'product': product, 'version': _said(source, 'product_version', one.text(6)),
        'serial': serial, 'uuid': uuid, 'asset_tag': _said(source, 'chassis_asset_tag', table(source).first(3).text(8)),
        'sku': _said(source, 'product_sku', one.text(25)), 'family': _said(source, 'product_family', one.text(26)),
        'virtual': hypervisor is not None, 'hypervisor': hypervisor,
    }  # fmt: skip
    return {'system': found, 'board': _board(source), 'chassis': _chassis(source)}


def identity(source: Source) -> tuple[str | None, str | None]:
    """The serial number and the UUID."""
    found = table(source)
    serial = _said(source, 'product_serial', found.first(1).text(7)) or clean(
        (source.bytes('proc/device-tree/serial-number') or b'').rstrip(b'\0')
    )
    uuid = _said(source, 'product_uuid', smbios.uuid(found))
    return serial, uuid.lower() if uuid else None


def _hypervisor(source: Source, words: str) -> str | None:
    flags = any(line.startswith('flags') and ' hypervisor' in line for line in source.lines('proc/cpuinfo'))
    lower = words.lower()
    for mark, name in _HYPERVISORS:
        # Cloud providers rent out whole machines too, under the same names.
        if mark in lower and not (name in ('Amazon', 'Google') and not flags):
            return name
    return 'unknown' if flags else None


def _board(source: Source) -> dict[str, object]:
    one = table(source).first(2)
    return {
        'manufacturer': _said(source, 'board_vendor', one.text(4)), 'product': _said(source, 'board_name', one.text(5)),
        'version': _said(source, 'board_version', one.text(6)), 'serial': _said(source, 'board_serial', one.text(7)),
    }  # fmt: skip


def _chassis(source: Source) -> dict[str, object]:
    one = table(source).first(3)
    kind = number(source.text('sys/class/dmi/id/chassis_type'))
    kind = kind if kind is not None else (one.byte(5) or 0) & 0x7F
    return {
        'manufacturer': _said(source, 'chassis_vendor', one.text(4)), 'type': smbios.CHASSIS_TYPES.get(kind),
        'serial': _said(source, 'chassis_serial', one.text(7)),
        'asset_tag': _said(source, 'chassis_asset_tag', one.text(8)),
    }  # fmt: skip


def firmware(source: Source) -> dict[str, object]:
    one = table(source).first(0)
    uefi = source.exists(_EFI)
    # The first four bytes of a variable are its attributes (Linux, Documentation/filesystems/efivarfs.rst).
    secure = source.bytes(f'{_EFI}/efivars/SecureBoot-{_GLOBAL}')
    return {
        'firmware': {
            'mode': 'uefi' if uefi else 'bios', 'vendor': _said(source, 'bios_vendor', one.text(4)),
            'version': _said(source, 'bios_version', one.text(5)), 'date': _said(source, 'bios_date', one.text(8)),
            'release': _said(source, 'bios_release', None),
            'secure_boot': bool(secure[4]) if uefi and secure and len(secure) > 4 else (None if uefi else False),
        },
        'tpm': _tpm(source),
    }  # fmt: skip


def _tpm(source: Source) -> dict[str, object] | None:
    for name in source.names('sys/class/tpm'):
        major = source.text(f'sys/class/tpm/{name}/tpm_version_major')
        return {'version': {'1': '1.2', '2': '2.0'}.get(major or '', major)}
    return None


def cpu(source: Source) -> dict[str, object]:
    """What the kernel sees; what the firmware says of each socket beside it."""
    packages: set[str | None] = set()
    cores: set[tuple[str | None, str | None, str | None]] = set()
    threads = 0
    for name in source.names('sys/devices/system/cpu'):
        if not name[3:].isdigit() or not name.startswith('cpu'):
            continue
        threads += 1
        base = f'sys/devices/system/cpu/{name}/topology'
        package = source.text(f'{base}/physical_package_id')
        packages.add(package)
        cores.add((package, source.text(f'{base}/die_id'), source.text(f'{base}/core_id')))
    model = None
    for line in source.lines('proc/cpuinfo'):
        key, _, value = line.partition(':')
        if key.strip().lower() in ('model name', 'cpu model', 'uarch'):
            model = clean(value)
            break
    found = smbios.processors(table(source))
    return {
        'cpu': {
            'architecture': os.uname().machine if str(source.root) == '/' else source.text('machine'),
            'sockets': len(packages) or None, 'cores': len(cores) or None, 'threads': threads or None,
            'model': model or (found[0]['model'] if found else None), 'processors': found,
        }
    }  # fmt: skip


def memory(source: Source) -> dict[str, object]:
    """The sum of the modules, where the firmware knows them: the kernel does not count what it has kept for itself."""
    modules = smbios.memory_modules(table(source))
    total = sum(size for one in modules if isinstance(size := one['size_bytes'], int))
    usable = None
    for line in source.lines('proc/meminfo'):
        if line.startswith('MemTotal:'):
            usable = usable or (number(line.removeprefix('MemTotal:').removesuffix('kB').strip()) or 0) * 1024 or None
    return {'memory': {'total_bytes': total or usable, 'usable_bytes': usable, 'modules': modules}}


GATHERERS: dict[str, Callable[[Source], dict[str, object]]] = {
    'system': system, 'firmware': firmware, 'cpu': cpu, 'memory': memory,
}  # fmt: skip
