"""A machine as QEMU's command line.  Pure, but for looking which firmware and which accelerator there are."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.errors import LabError
from lab.processes import boot_id
from lab.rack.spec import Disk, Nic, Spec

BINARY = 'qemu-system-x86_64'
type First = Literal['network', 'disk']

# Firmware by distribution: Debian and Ubuntu, Fedora, Arch.  Code and the variables that belong to it.
OVMF = (
    ('/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'),
    ('/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'),
    ('/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'),
    ('/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'),
)
# With Microsoft's keys enrolled and Secure Boot on.
_OVMF_SECURE = (
    ('/usr/share/OVMF/OVMF_CODE_4M.ms.fd', '/usr/share/OVMF/OVMF_VARS_4M.ms.fd'),
    ('/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd', '/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd'),
)
IPXE = ('/usr/lib/ipxe/ipxe.lkrn', '/boot/ipxe.lkrn', '/usr/share/ipxe/ipxe.lkrn')

_NIC = {'virtio': 'virtio-net-pci', 'e1000': 'e1000'}
# iPXE in the part of an ordinary PXE ROM: `bmc` takes what gives iPXE away out of its DHCP packets where the user class
# is this.  Without `clear`, the next loader would go on with it.  A ROM gives up by itself: then it is the disk's turn.
PLAIN = 'plain'
_PLAIN_SCRIPT = (
    f'set user-class {PLAIN} && ifconf -c dhcp net{{nic}} && clear user-class '
    '&& chain --autofree tftp://${{next-server}}/${{filename}}'
)


@dataclass(frozen=True)
class Handles:
    """Numbers of open files that QEMU is started with: sockets to the machine's `bmc`."""

    qmp: int
    filter_in: int = -1
    filter_out: int = -1


def value(text: str) -> str:
    """As the value of one of QEMU's key=value options, where a comma ends it."""
    if any(ord(letter) < 32 for letter in text):
        raise LabError(f'{text!r} cannot be given to QEMU: it holds control characters')
    return text.replace(',', ',,')


def tap(spec: Spec, number: int) -> str:
    """The name of a card's other end in the namespace (IFNAMSIZ: at most 15 characters); no two have the same."""
    return 't' + spec.nics[number].mac.replace(':', '')


def is_filtered(spec: Spec) -> bool:
    return spec.client == PLAIN and spec.firmware == 'bios'


def firmware(spec: Spec) -> tuple[Path, Path] | None:
    """UEFI's code and its first variables; None for BIOS."""
    if spec.firmware == 'bios':
        return None
    for code, variables in _OVMF_SECURE if spec.secure_boot else OVMF:
        if os.path.exists(code) and os.path.exists(variables):
            return Path(code), Path(variables)
    kind = 'UEFI firmware with Secure Boot' if spec.secure_boot else 'UEFI firmware'
    raise LabError(f'{spec.name} needs {kind} for QEMU; install the package ovmf (or edk2-ovmf)')


def disk_file(folder: Path, number: int) -> Path:
    return folder / f'disk{number}.raw'


def variables_file(folder: Path) -> Path:
    return folder / 'variables.fd'


def order(spec: Spec, first: First) -> dict[str, int]:
    """QEMU's boot index of each device that the firmware is to try.  Cards that do not boot have none."""
    network = {f'nic{spec.boots_from}': 1} if spec.nics else {}
    disks = {f'disk{number}': 10 + number for number in range(len(spec.disks))}
    if first == 'disk':
        network = dict.fromkeys(network, 100)
    return {**network, **disks}


def command(spec: Spec, folder: Path, accelerator: str, handles: Handles, first: First = 'network') -> list[str]:
    """The machine as it is switched on.  Its serial console is QEMU's standard input and output."""
    return [
        BINARY, '-name', f'guest={value(spec.name)},process=rack:{spec.name}', '-nodefaults', '-no-user-config',
        *_board(spec, folder, accelerator), *_identity(spec), *_remote(handles),
        *(word for number, nic in enumerate(spec.nics) for word in _nic(spec, number, nic, handles, first)),
        *(word for number, disk in enumerate(spec.disks) for word in _disk(spec, folder, number, disk, first)),
        *_plain(spec, first), *spec.arguments,
    ]  # fmt: skip


def _board(spec: Spec, folder: Path, accelerator: str) -> list[str]:
    found = firmware(spec)
    # graphics=off: SeaBIOS, and with it iPXE and PXELINUX, say on the serial console too what they say on the screen.
    machine = 'q35,graphics=off' if found is None else f'q35,smm={"on" if spec.secure_boot else "off"}'
    # Without hardware: what x86-64-v2 systems need, and no vector instructions, which are slow when they are emulated.
    cpu = spec.cpu or ('host' if accelerator == 'kvm' else 'Nehalem')
    words = [
        '-machine', machine, '-accel', 'kvm' if accelerator == 'kvm' else 'tcg,thread=multi', '-cpu', cpu,
        '-smp', str(spec.cpus), '-m', str(spec.memory), '-rtc', 'base=utc', '-device', 'virtio-rng-pci',
        '-display', 'none', '-vga', 'std',
    ]  # fmt: skip
    if found is None:
        return words
    code, _ = found
    if spec.secure_boot:
        words += ['-global', 'driver=cfi.pflash01,property=secure,value=on']
    # Nobody here answers DHCPv6, and OVMF would wait for it for a minute.  HTTP boot comes behind PXE in its order.
    without = ('IPv6PXESupport', *(['IPv4PXESupport'] if spec.client == 'http' else []))
    return [
        *words,
        '-drive', f'if=pflash,unit=0,format=raw,readonly=on,file={value(str(code))}',
        '-drive', f'if=pflash,unit=1,format=raw,file={value(str(variables_file(folder)))}',
        *(word for name in without for word in ('-fw_cfg', f'name=opt/org.tianocore/{name},string=no')),
    ]  # fmt: skip


def _identity(spec: Spec) -> list[str]:
    def table(number: int, **values: str | None) -> list[str]:
        said = ''.join(f',{key}={value(text)}' for key, text in values.items() if text)
        return ['-smbios', f'type={number}{said}'] if said else []

    return [
        '-uuid', spec.uuid,
        *table(
            1, manufacturer=spec.manufacturer, product=spec.product, serial=spec.serial, sku=spec.sku, uuid=spec.uuid
        ),
        *table(2, manufacturer=spec.manufacturer, product=spec.product, serial=spec.serial and f'{spec.serial}-B'),
        *table(3, manufacturer=spec.manufacturer, serial=spec.serial and f'{spec.serial}-C', asset=spec.asset_tag),
        *table(17, manufacturer='QEMU', serial=spec.serial and f'{spec.serial}-M', part='VIRTUAL-DIMM'),
    ]  # fmt: skip


def _remote(handles: Handles) -> list[str]:
    return [
        '-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console',
        '-chardev', f'socket,id=qmp,fd={handles.qmp}', '-mon', 'chardev=qmp,mode=control',
    ]  # fmt: skip


def _nic(spec: Spec, number: int, nic: Nic, handles: Handles, first: First) -> list[str]:
    netdev, boot = f'net{number}', order(spec, first).get(f'nic{number}')
    device = f'{_NIC[nic.model]},id=nic{number},netdev={netdev},mac={nic.mac}'
    if boot is not None and not is_filtered(spec):
        device += f',bootindex={boot}'
    # Without a ROM, OVMF uses its own driver and its own PXE; SeaBIOS boots what `_plain` gives it.
    if spec.client != 'ipxe' or boot is None:
        device += ',romfile='
    words = [
        '-netdev', f'tap,id={netdev},ifname={tap(spec, number)},script=no,downscript=no,vnet_hdr=off',
        '-device', device,
    ]  # fmt: skip
    if is_filtered(spec) and number == spec.boots_from:
        words += [
            '-chardev', f'socket,id=filter-in,fd={handles.filter_in}',
            '-chardev', f'socket,id=filter-out,fd={handles.filter_out}',
            '-object', f'filter-redirector,id=plain,netdev={netdev},queue=rx,indev=filter-in,outdev=filter-out',
        ]  # fmt: skip
    return words


def _disk(spec: Spec, folder: Path, number: int, disk: Disk, first: First) -> list[str]:
    name = f'disk{number}'
    # unsafe: no flushes to the host's disk; what a machine has written is in the file as soon as it has been told so.
    drive = f'if=none,id={name}-file,format=raw,cache=unsafe,discard=unmap,file={value(str(disk_file(folder, number)))}'
    common = f'id={name},drive={name}-file,bootindex={order(spec, first)[name]},serial={value(disk.serial)}'
    wwn = f',wwn=0x{disk.wwn.removeprefix("0x")}' if disk.wwn else ''
    rate = f',rotation_rate={7200 if disk.rotational else 1}'
    match disk.kind:
        case 'virtio':
            device = ['-device', f'virtio-blk-pci,{common}']
        case 'nvme':
            device = ['-device', f'nvme,{common}']
        case 'sata':
            device = ['-device', f'ide-hd,bus=ide.{number},{common}{wwn}{rate}']
        case 'scsi':
            device = [
                '-device', f'virtio-scsi-pci,id=scsi{number}',
                '-device', f'scsi-hd,bus=scsi{number}.0,{common}{wwn}{rate},vendor=SUBSTRCT,product=Virtual disk',
            ]  # fmt: skip
    return ['-drive', drive, *device]


def _plain(spec: Spec, first: First) -> list[str]:
    """iPXE as the ROM of a plain BIOS machine; it always comes first, so it is left out where the disk is to."""
    if not is_filtered(spec) or first == 'disk':
        return []
    found = next((path for path in IPXE if os.path.exists(path)), None)
    if found is None:
        raise LabError(f'{spec.name} needs ipxe.lkrn; install the package ipxe')
    return ['-kernel', found, '-append', _PLAIN_SCRIPT.format(nic=spec.boots_from)]


# ---------------------------------------------------------------------- which accelerator

# A boot sector that ends QEMU by its debugging port: mov al,0x2a; out 0xf4,al; hlt
_PROBE = bytes.fromhex('b02ae6f4f4').ljust(510, b'\0') + b'\x55\xaa'
_PROBE_CODE = (0x2A << 1) | 1


def accelerator(kept: Path) -> str:
    """`kvm` where a machine really runs with it, else `tcg`.  What was found is kept in a file until the next boot."""
    try:
        found, boot = kept.read_text().split()
        if boot == boot_id():
            return found
    except (FileNotFoundError, ValueError):
        pass
    found = 'kvm' if os.access('/dev/kvm', os.R_OK | os.W_OK) and _runs_with('kvm') else 'tcg'
    kept.write_text(f'{found} {boot_id()}\n')
    return found


def _runs_with(name: str, seconds: float = 5.0) -> bool:
    """Whether a machine gets as far as its boot sector.  /dev/kvm may be there and not work."""
    with tempfile.NamedTemporaryFile() as disk:
        disk.write(_PROBE.ljust(1 << 16, b'\0'))
        disk.flush()
        words = [
            BINARY, '-nodefaults', '-no-user-config', '-machine', 'q35', '-accel', name, '-cpu', 'host', '-m', '64',
            '-display', 'none', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4',
            '-drive', f'if=virtio,format=raw,file={disk.name}',
        ]  # fmt: skip
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=seconds, check=False,
            )  # fmt: skip
        except (subprocess.TimeoutExpired, FileNotFoundError):
            return False
        return done.returncode == _PROBE_CODE


def make_files(spec: Spec, folder: Path) -> None:
    """The machine's disks and variables, where they are not there yet."""
    found = firmware(spec)
    if found is not None and not variables_file(folder).exists():
        variables_file(folder).write_bytes(found[1].read_bytes())
    for number, disk in enumerate(spec.disks):
        path = disk_file(folder, number)
        if not path.exists():
            with path.open('wb') as file:
                file.truncate(disk.size)
