"""What a boot script of ours would boot: the part of iPXE's language that they are written in.  Pure.

It follows the script as iPXE would if everything could be loaded, up to `boot`; what would be loaded is the
answer.  Where the script uses anything else, it says so, and the machine reboots and lets iPXE itself do it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urljoin

# Steps after which a script is taken to run in a circle.
_MOST = 1000


@dataclass(frozen=True)
class Kernel:
    """To be booted: `arguments` is the kernel's command line, `initrds` URLs in their order."""

    url: str
    arguments: str
    initrds: tuple[str, ...]


@dataclass(frozen=True)
class Chain:
    """Another script is to be fetched, or another program started, from there."""

    url: str


@dataclass(frozen=True)
class Disk:
    """The machine's own disk, or whatever its firmware boots next."""


@dataclass(frozen=True)
class Beyond:
    """The script needs iPXE itself; `line` is where."""

    line: str


def follow(text: str, settings: Mapping[str, str], url: str = '') -> 'Kernel | Chain | Disk | Beyond':
    """`settings` are iPXE's (mac, uuid, buildarch …), without net0/ and the like; `url` is where the script came
    from."""
    lines = [line.strip() for line in text.replace('\r\n', '\n').split('\n')]
    if not lines or not lines[0].startswith('#!ipxe'):
        return Beyond(lines[0] if lines else '')
    labels = {line[1:].split()[0]: at for at, line in reversed(list(enumerate(lines))) if re.match(r':\S', line)}
    loaded = _Loaded(url)
    at, steps = 0, 0
    while at < len(lines):
        steps += 1
        if steps > _MOST:
            return Beyond('it runs in a circle')
        line = lines[at]
        at += 1
        if not line or line.startswith(('#', ':')):
            continue
        found = _line(expand(line, settings).split(), loaded)
        if isinstance(found, str):
            if found not in labels:
                return Beyond(line)
            at = labels[found]
        elif found is not None:
            return found
    return Disk()


class _Loaded:
    def __init__(self, url: str) -> None:
        self.url = url
        self.kernel = ''
        self.arguments = ''
        self.initrds: list[str] = []

    def at(self, path: str) -> str:
        return urljoin(self.url, path) if self.url else path


def _line(words: list[str], loaded: _Loaded) -> 'Kernel | Chain | Disk | Beyond | str | None':
    """What one line leads to: an end, the label to go on at, or None for the next line."""
    succeeded = True
    wanted: bool | None = None
    while words:
        end = next((number for number, word in enumerate(words) if word in ('||', '&&')), len(words))
        command, operator, rest = words[:end], words[end : end + 1], words[end + 1 :]
        if wanted is None or wanted is succeeded:
            found = _command(command, loaded)
            if not isinstance(found, bool):
                return found
            succeeded = found
        wanted = operator == ['&&'] if operator else None
        words = rest
    # A line that failed, with nothing said about that, ends the script.
    return None if succeeded else Disk()


def _command(words: list[str], loaded: _Loaded) -> 'Kernel | Chain | Disk | Beyond | str | bool':
    """Whether it succeeds, the label to go to, or an end."""
    if not words:
        return True
    name, rest = words[0], words[1:]
    if name in ('echo', 'sleep', 'imgstat', 'isset', 'prompt', 'ifopen', 'dhcp', 'ifconf', 'route', 'show'):
        return True
    if name == 'imgfree':
        loaded.kernel, loaded.arguments, loaded.initrds = '', '', []
        return True
    if name == 'goto' and len(rest) == 1:
        return rest[0]
    if name == 'iseq' and len(rest) == 2:
        return rest[0] == rest[1]
    if name in ('kernel', 'initrd', 'module', 'imgfetch', 'chain', 'boot'):
        return _image(name, rest, loaded)
    if name in ('exit', 'sanboot', 'poweroff', 'reboot'):
        return Disk()
    return Beyond(' '.join(words))


def _image(name: str, words: list[str], loaded: _Loaded) -> 'Kernel | Chain | Beyond | bool':
    while words and words[0].startswith('-'):
        takes_value = words[0] in ('--name', '-n', '--timeout', '-t')
        words = words[2:] if takes_value else words[1:]
    if name == 'boot':
        if not words and loaded.kernel:
            return Kernel(loaded.kernel, loaded.arguments, tuple(loaded.initrds))
        return Beyond('boot')
    if not words:
        return Beyond(name)
    if name == 'chain':
        return Chain(loaded.at(words[0]))
    if name == 'kernel':
        loaded.kernel, loaded.arguments = loaded.at(words[0]), ' '.join(words[1:])
    else:
        if len(words) > 1:
            return Beyond(f'{name} with a file name')  # iPXE would make an archive of it
        loaded.initrds.append(loaded.at(words[0]))
    return True


def expand(line: str, settings: Mapping[str, str]) -> str:
    """Put settings in: ${mac}, ${net0/mac:hexhyp}, ${serial:uristring}; unknown ones are empty, as in iPXE."""

    def value(match: 're.Match[str]') -> str:
        name, _, form = match[1].partition(':')
        found = settings.get(name.rpartition('/')[2], '')
        if form == 'hexhyp':
            return found.replace(':', '-')
        if form == 'hexraw':
            return found.replace(':', '')
        if form == 'uristring':
            return quote(found, safe='')
        return found

    return re.sub(r'\$\{([^${}]*)\}', value, line)
