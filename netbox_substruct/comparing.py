"""What differs between two builds of a machine: what was served, and what it was made from.  Pure.

Artifacts are compared line by line; the frozen contexts value by value, each under the path that templates see it by.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

type Word = Literal['added', 'removed', 'changed', 'same']

# Lines around a change; and the lines of both sides together beyond which nobody waits for a comparison.
AROUND = 3
MOST_LINES = 20_000
# Lines of a difference that are shown.
MOST_SHOWN = 2_000
# The number of a build is another one each time, and says nothing.
UNINTERESTING = ('build',)


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is compared of a build artifact."""

    kind: str
    name: str
    content: str
    sha256: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class ArtifactChange:
    """`lines` is a unified difference without the names of files; `cut` says that it has more lines, or, where there
    are none, that the artifacts are too long to be compared."""

    kind: str
    name: str
    word: Word
    before: Artifact | None
    after: Artifact | None
    lines: tuple[str, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ValueChange:
    """`path` is how templates write it: parameters.disk.scheme, interfaces[0].mac."""

    path: str
    word: Word
    before: Any = None
    after: Any = None


def artifacts(before: Iterable[Artifact], after: Iterable[Artifact]) -> list[ArtifactChange]:
    """One for each kind of artifact that either side has, in the order of the kinds' names."""
    old, new = {each.kind: each for each in before}, {each.kind: each for each in after}
    return [_artifact(kind, old.get(kind), new.get(kind)) for kind in sorted(old.keys() | new.keys())]


def _artifact(kind: str, before: Artifact | None, after: Artifact | None) -> ArtifactChange:
    shown = after or before
    assert shown is not None  # the kind was one of these two
    word: Word = 'changed'
    if before is None:
        word = 'added'
    elif after is None:
        word = 'removed'
    elif before.sha256 == after.sha256:
        word = 'same'
    if word == 'same':
        return ArtifactChange(kind, shown.name, word, before, after)
    lines, cut = unified(before.content if before else '', after.content if after else '')
    return ArtifactChange(kind, shown.name, word, before, after, lines, cut)


def unified(before: str, after: str) -> tuple[tuple[str, ...], bool]:
    """A unified difference, and whether it is not the whole."""
    # Not splitlines(): a form feed or a Unicode separator in a file ends no line of it.
    old, new = before.split('\n'), after.split('\n')
    for each in (old, new):
        if each[-1] == '':
            each.pop()
    if len(old) + len(new) > MOST_LINES:
        return (), True
    found = list(difflib.unified_diff(old, new, n=AROUND, lineterm=''))[2:]
    if not found and before != after:
        found = ['\\ ' + ('No newline at end of file' if before.endswith('\n') else 'Newline at end of file')]
    return tuple(found[:MOST_SHOWN]), len(found) > MOST_SHOWN


def values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ValueChange]:
    """What differs between two frozen contexts, in the order of the newer one."""
    old = {name: value for name, value in before.items() if name not in UNINTERESTING}
    new = {name: value for name, value in after.items() if name not in UNINTERESTING}
    return list(_differing('', old, new))


def _differing(path: str, before: Any, after: Any) -> Iterable[ValueChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*after, *(key for key in before if key not in after)]:
            inner = f'{path}.{key}' if path else str(key)
            if key not in before:
                yield ValueChange(inner, 'added', after=after[key])
            elif key not in after:
                yield ValueChange(inner, 'removed', before=before[key])
            else:
                yield from _differing(inner, before[key], after[key])
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differing(f'{path}[{index}]', old, new)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield ValueChange(path, 'changed', before, after)
