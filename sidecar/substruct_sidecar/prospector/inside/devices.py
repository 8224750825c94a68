"""Finds the drivers of what is in the machine.  This loads kernel modules and starts udev.

All devices name what they are (modalias); the modules for them are loaded at once, and again as long as new devices
come up behind them (a network card behind a bus, a disk behind a controller).  udev comes after: it links disks by
their identifiers, knows how an installed system would call the network cards, and loads the drivers of what comes
later.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .tools import ToolError, run

# Modules that no device asks for.
ALWAYS = ('ipmi_devintf', 'ipmi_si', 'sd_mod', 'virtio_rng', 'drivetemp')
PASSES = 8
# Seconds that the drivers of some devices may take (mpt3sas gives its disks 300).
SLOWEST = 480.0


def modaliases(root: Path = Path('/')) -> set[str]:
    """What all devices say that they are."""
    found = set()
    for path in _modalias_files(root / 'sys/devices'):
        try:
            if text := path.read_text('ascii', 'replace').strip():
                found.add(text)
        except OSError:
            pass  # a device that has just gone
    return found


def _modalias_files(folder: Path) -> Iterator[Path]:
    for here, _, files in os.walk(folder):
        if 'modalias' in files:
            yield Path(here) / 'modalias'


def load(say: Callable[[str], None], known: set[str], wanted: Callable[[str], bool] = lambda alias: True) -> bool:
    """Load the modules for all devices, and for those that appear because of them; `known` were seen before.  False
    where that has not come to its end."""
    complete = True
    for _ in range(PASSES):
        new = sorted(alias for alias in modaliases() - known if wanted(alias))
        if not new:
            break
        known.update(new)
        # In batches: a command line has an end.
        for start in range(0, len(new), 200):
            complete &= _modprobe(['-a', '-q', '-b', '--', *new[start : start + 200]], say)
    return complete


def is_network(alias: str) -> bool:
    """Whether a device is a network card, or what stands before one: PCI's class 02, virtio's device 1."""
    return (alias.startswith('pci:') and 'bc02' in alias) or alias.startswith(('virtio:d00000001', 'vmbus:', 'xen:vif'))


def _modprobe(arguments: list[str], say: Callable[[str], None]) -> bool:
    """Whether it came to its end."""
    try:
        # Its exit status says only that some alias has no module.  It ends when the disks behind a controller are
        # found, which may take minutes where there are many.
        run(['modprobe', *arguments], SLOWEST, check=False)
    except ToolError as error:
        say(str(error))
        return False
    return True


def start_network(say: Callable[[str], None]) -> set[str]:
    """Drivers for network cards alone: addresses can be asked for while the rest is looked for."""
    release = os.uname().release
    if not Path(f'/lib/modules/{release}').is_dir():
        say(f'There are no drivers for this kernel ({release}): kernel and initrd are not of the same build.')
    _efi_variables(say)
    known: set[str] = set()
    load(say, known, is_network)
    return known


def _efi_variables(say: Callable[[str], None]) -> None:
    """Where UEFI says of VLANs, of Secure Boot, and what it boots."""
    folder = Path('/sys/firmware/efi/efivars')
    if not folder.parent.exists():
        return
    _modprobe(['-q', 'efivarfs'], say)
    if folder.exists() and not os.path.ismount(folder):
        try:
            run(['mount', '-t', 'efivarfs', 'efivarfs', str(folder)])
        except ToolError as error:
            say(str(error))


def start(say: Callable[[str], None], known: set[str]) -> bool:
    """Drivers for all that is there; False where some have not come to their end, so that devices may be missing."""
    complete = load(say, known)
    complete &= _modprobe(['-a', '-q', '--', *ALWAYS], say)
    return load(say, known) and complete


def start_udev(say: Callable[[str], None]) -> None:
    try:
        subprocess.Popen(
            ['/usr/lib/systemd/systemd-udevd', '--resolve-names=never'], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        say(f'udev cannot be started: {error.strerror}')
        return
    deadline = time.monotonic() + 5.0
    while not Path('/run/udev/control').exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    for subsystem in ('block', 'net'):
        _udevadm(['trigger', '--action=add', f'--subsystem-match={subsystem}'], say)


def settle(seconds: float, say: Callable[[str], None]) -> None:
    """Wait until udev has done what there is to do."""
    _udevadm(['settle', f'--timeout={seconds:.0f}'], say, seconds + 5.0)


def _udevadm(arguments: list[str], say: Callable[[str], None], seconds: float = 30.0) -> None:
    try:
        run(['udevadm', *arguments], seconds)
    except ToolError as error:
        say(str(error))
