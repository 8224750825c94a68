"""Merging parameters, and knowing afterwards where each value came from.  Pure: plain mappings in, plain values out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

type Kind = Literal['profile', 'config-context', 'local-context', 'machine']
type Layer = tuple[Source, Mapping[str, Any]]

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from: a profile, a config context, the device’s own context data, or the machine."""

    kind: Kind
    name: str
    pk: int | None = None
    url: str = ''


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that is no mapping (or is an empty one), where it came from, and what it overrides.

    `overridden` has the nearest first.  Where a mapping was put in place of a plain value, or the other way round, the
    whole of what was there is listed.
    """

    path: tuple[str, ...]
    value: Any
    source: Source
    overridden: tuple[tuple[Source, Any], ...] = ()

    @property
    def name(self) -> str:
        return '.'.join(self.path)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The merged values as templates see them, and each with its origin, in order of their names."""

    values: dict[str, Any]
    entries: tuple[Entry, ...]


def merge(layers: Iterable[Layer]) -> Parameters:
    """Merge the layers, furthest first; the last one wins.

    Mappings are merged key by key, everything else is replaced as a whole, lists too.  An empty mapping replaces what
    was there: this is how NetBox merges config contexts (utilities.data.deepmerge).
    """
    layers = list(layers)
    values: dict[str, Any] = {}
    for _, layer in layers:
        values = _merged(values, layer)
    return Parameters(
        values, tuple(_entry(path, value, layers) for path, value in sorted(_leaves(values), key=lambda leaf: leaf[0]))
    )


def _merged(original: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(original)
    for key, value in new.items():
        before = original.get(key)
        merged[key] = (
            _merged(before, value) if value and isinstance(before, dict) and isinstance(value, dict) else value
        )
    return merged


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if value and isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _entry(path: tuple[str, ...], value: Any, layers: list[Layer]) -> Entry:
    # The last layer that has the path set the value: any later one that took it away would have left another leaf.
    at_path = [(source, _at(layer, path)) for source, layer in layers]
    setting = max(number for number, (_, found) in enumerate(at_path) if found is not _ABSENT)
    overridden = []
    for number in range(setting - 1, -1, -1):
        source, layer = layers[number]
        found = at_path[number][1]
        if found is _ABSENT:
            found = _instead(layer, path)
        if found is not _ABSENT:
            overridden.append((source, found))
    return Entry(path, value, at_path[setting][0], tuple(overridden))


def _at(layer: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = layer
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return _ABSENT
        found = found[key]
    return found


def _instead(layer: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What stands above the path in this layer where the path would need a mapping; an empty layer says nothing."""
    if not layer:
        return _ABSENT
    found: Any = layer
    for key in path:
        if not isinstance(found, dict) or not found:
            return found
        if key not in found:
            return _ABSENT
        found = found[key]
    return _ABSENT
