"""How the story is shown: a few lines that change on a terminal, a line for each thing that happens elsewhere."""

import shutil
import sys
from collections.abc import Sequence
from typing import IO

from lab.demo.story import BEFORE, Actor

BAR = 20


def clock(seconds: float) -> str:
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


def bar(percent: int) -> str:
    full = max(0, min(BAR, percent * BAR // 100))
    return f'{"█" * full}{"░" * (BAR - full)} {percent:3d} %'


def plain(text: str) -> str:
    """What machines and NetBox say, without what a terminal would take for a command."""
    return ''.join(letter if letter.isprintable() else ' ' for letter in text)


def cut(text: str, width: int) -> str:
    text = plain(text)
    return text if len(text) <= width else text[: max(0, width - 1)] + '…'


class Lines:
    """One line for each thing that happens: for logs, and wherever there is no terminal."""

    def __init__(self, stream: IO[str] = sys.stdout) -> None:
        self._stream = stream

    def happened(self, moment: float, actor: Actor, text: str) -> None:
        self._stream.write(f'{clock(moment):>6}  {actor.name:<8} {plain(text)}\n')
        self._stream.flush()

    def look(self, moment: float, actors: Sequence[Actor]) -> None:
        pass

    def end(self) -> None:
        pass


class Live:
    """The things that have happened scroll; below them stand the machines as they are now, and are drawn over."""

    def __init__(self, stream: IO[str] = sys.stdout) -> None:
        self._stream = stream
        self._drawn = 0
        self._last: tuple[float, Sequence[Actor]] = (0.0, ())

    def happened(self, moment: float, actor: Actor, text: str) -> None:
        self._clear()
        width = shutil.get_terminal_size().columns
        self._stream.write(cut(f'{clock(moment):>6}  {actor.name:<8} {text}', width - 1) + '\n')
        self.look(*self._last)

    def look(self, moment: float, actors: Sequence[Actor]) -> None:
        self._last = (moment, actors)
        self._clear()
        rows = table(moment, actors, shutil.get_terminal_size().columns - 1)
        self._stream.write('\n'.join(rows) + '\n')
        self._stream.flush()
        self._drawn = len(rows)

    def end(self) -> None:
        self._drawn = 0

    def _clear(self) -> None:
        if self._drawn:
            self._stream.write(f'\033[{self._drawn}F\033[J')
            self._drawn = 0


def table(moment: float, actors: Sequence[Actor], width: int) -> list[str]:
    """The machines as they are now, a head above them."""
    if not actors:
        return []
    rows = ['', cut(f'{clock(moment):>6}  {"machine":<9}{"":<15}{"what it does now":<48}last event in NetBox', width)]
    for actor in actors:
        doing = 'FAILED' if actor.failed else actor.doing
        progress = actor.progress if actor.progress and not actor.over and actor.progress < 100 else None
        if progress is not None and doing.startswith('prospector'):
            doing = f'{bar(progress)}  {doing.removeprefix("prospector: ")}'
        state = '✔' if actor.over and not actor.failed else '✘' if actor.failed else ' '
        rows.append(cut(f'     {state}  {actor.name:<9}{actor.part.title:<15}{cut(doing, 46):<48}{actor.last}', width))
    return rows


def moment(actor: Actor, key: str) -> str:
    found = actor.moments.get(key)
    return '–' if found is None else 'before' if found == BEFORE else f'{found:.0f} s'


def summary(actors: Sequence[Actor]) -> str:
    """When what has happened to whom, by the clock of what was told."""
    columns = {
        'power': 'power on', 'discovered': 'discovered', 'written': 'disk written', 'disk': 'own disk',
        'built': 'built',
    }  # fmt: skip
    head = f'  {"":<9}{"":<15}' + ''.join(f'{title:>14}' for title in columns.values())
    rows = [head]
    for actor in actors:
        cells = (moment(actor, key) for key in columns)
        rows.append(f'  {actor.name:<9}{actor.part.title:<15}' + ''.join(f'{cell:>14}' for cell in cells))
        if actor.failed:
            rows.append(f'      failed: {actor.failed}')
        elif actor.url:
            rows.append(f'      {actor.url}')
    return '\n'.join(rows)
