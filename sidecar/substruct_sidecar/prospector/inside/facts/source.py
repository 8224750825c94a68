"""Where facts come from: a tree of files and a way to run tools, so that any machine's can be read from a recording.

Whatever stands there is data: read as bytes, made text that is fit to be shown and kept, and numbers only where it is a
number.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..tools import Done, ToolError

# Characters of one value that are kept.
LONGEST = 255

_UNFIT = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd\ud800-\udfff]+')


def clean(value: bytes | str | None) -> str | None:
    """One line of text; None for nothing."""
    if value is None:
        return None
    text = value.decode('utf-8', 'replace') if isinstance(value, bytes) else value
    return ' '.join(_UNFIT.sub(' ', text).split())[:LONGEST] or None


def number(value: str | None, base: int = 10) -> int | None:
    """A whole number that a database can hold, or None."""
    try:
        found = int(value or '', base)
    except ValueError:
        return None
    return found if -(2**63) <= found < 2**63 else None


def mac(value: str | None) -> str | None:
    """aa:bb:cc:dd:ee:ff of a single card, or None."""
    text = (value or '').strip().lower()
    if not re.fullmatch(r'([0-9a-f]{2}:){5}[0-9a-f]{2}', text) or text in ('00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff'):
        return None
    return text


@dataclass
class Source:
    """`run` raises ToolError for a tool that is missing or gives no answer in time.  What goes wrong is added to
    `problems`, and the rest goes on."""

    root: Path
    run: Callable[[Sequence[str], float], Done]
    problems: list[str] = field(default_factory=list)

    def bytes(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def text(self, path: str) -> str | None:
        return clean(self.bytes(path))

    def lines(self, path: str) -> list[str]:
        return (self.bytes(path) or b'').decode('utf-8', 'replace').splitlines()

    def number(self, path: str, base: int = 10) -> int | None:
        return number(self.text(path), base)

    def names(self, path: str) -> list[str]:
        """What is in a folder, numbers in their order."""
        try:
            found = os.listdir(self.root / path)
        except OSError:
            return []
        return sorted(
            found, key=lambda name: [(0, int(p), '') if p.isdigit() else (1, 0, p) for p in re.split(r'(\d+)', name)]
        )

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def target(self, path: str) -> str:
        """The name of what a link leads to, '' if there is none."""
        try:
            return os.path.basename(os.readlink(self.root / path))
        except OSError:
            return ''

    def real(self, path: str) -> str:
        """The path of a device without links, from the root of the tree."""
        return os.path.relpath(os.path.realpath(self.root / path), os.path.realpath(self.root))

    def tool(self, *command: str, seconds: float = 20.0) -> str | None:
        """What a tool prints; None, and a problem, where it fails."""
        try:
            done = self.run(command, seconds)
        except ToolError as error:
            self.problem(str(error))
            return None
        if done.status:
            self.problem(f'{" ".join(command)}: {done.last()}')
            return None
        return done.output

    def tool_anyhow(self, *command: str, seconds: float = 20.0) -> str | None:
        """The same for a tool whose exit status says something of what it looked at, rather than whether it worked."""
        try:
            return self.run(command, seconds).output or None
        except ToolError as error:
            self.problem(str(error))
            return None

    def problem(self, text: str) -> None:
        line = clean(text)
        if line and line not in self.problems:
            self.problems.append(line)


_PCI = re.compile(r'[0-9a-f]{4,6}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]')


def pci_address(path: str) -> str | None:
    """The PCI address of a device, out of its path in /sys/devices: the last one in it."""
    found = _PCI.findall(path)
    return found[-1] if found else None
