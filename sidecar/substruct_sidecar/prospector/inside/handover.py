"""Gives the machine to another kernel, or back to its firmware.  All of this ends the prospector."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from . import web
from .script import Kernel
from .tools import ToolError, run

# Where kernel and initrds are kept until they are started: memory.
FOLDER = Path('/run/kexec')


def reboot(say: Callable[[str], None], flush: Callable[[], None]) -> None:
    say('Rebooting')
    _go('reboot', flush)


def power_off(say: Callable[[str], None], flush: Callable[[], None]) -> None:
    say('Powering off')
    _go('poweroff', flush)


def _go(applet: str, flush: Callable[[], None]) -> None:
    os.sync()
    flush()
    subprocess.run(['busybox', applet, '-f'])
    while True:  # the machine is going
        time.sleep(60.0)


def load(kernel: Kernel, say: Callable[[str], None]) -> bool:
    """Fetch another kernel and make it ready to be started; False where that cannot be."""
    FOLDER.mkdir(exist_ok=True)
    try:
        paths = [_fetched(url, FOLDER / f'{number}', say) for number, url in enumerate((kernel.url, *kernel.initrds))]
        initrd = FOLDER / 'initrd'
        with initrd.open('wb') as stream:
            for path in paths[1:]:
                data = path.read_bytes()
                stream.write(data + b'\0' * (-len(data) % 4))
                path.unlink()
        command = ['kexec', '--load', str(paths[0]), f'--command-line={kernel.arguments}']
        command += [f'--initrd={initrd}'] if len(paths) > 1 else []
        try:
            # The kernel checks and loads it itself, which Secure Boot demands.
            run([*command, '--kexec-file-syscall'], 60.0)
        except ToolError:
            run(command, 60.0)
    except (ToolError, web.WebError, OSError) as error:
        # The arguments may hold a build's token; consoles are kept in logs.
        words = str(error).replace(kernel.arguments, '…') if kernel.arguments else str(error)
        say(f'The kernel cannot be started from here: {words}')
        for path in FOLDER.iterdir():
            path.unlink()
        return False
    return True


def _fetched(url: str, path: Path, say: Callable[[str], None]) -> Path:
    from .stream import Fetch

    with path.open('wb') as stream:
        for part in Fetch(url, say, tries=10):
            stream.write(part)
    say(f'{url}: {path.stat().st_size / 1e6:.1f} MB fetched')
    return path


def start(say: Callable[[str], None], flush: Callable[[], None]) -> None:
    say('Starting the other kernel')
    os.sync()
    flush()
    subprocess.run(['kexec', '--exec'])
    # It has not worked: the firmware can do it too.
    reboot(say, flush)
