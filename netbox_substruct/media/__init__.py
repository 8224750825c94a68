"""Installation media as data: what is fetched for an operating system's release and architecture.

The files beside this one hold it, each a list of media; users have files of their own of the same form.  A medium names
its files below a mirror, so a mirror of one's own takes the place of the maker's by one word.  Words in angle brackets
(<release>, <arch>, <mirror>, <tree>, and what `releases` says of a release) stand for what they name.

Pure, but for reading these files: `netbox substruct_media` makes boot images of media.
"""

import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import yaml

FOLDER = Path(__file__).parent
_WORD = re.compile(r'<([a-z_]+)>')


class MediaError(ValueError):
    """A file of media that cannot be read, or a medium that there is not."""


class Medium(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of a file: a medium for each of its releases and architectures.

    `id` is what people call it by, and the slug of the platform unless `platform` says otherwise.  `architectures` has
    NetBox's name of each and what the maker calls it.  `kernel`, `initrds`, `disk_image` and `sums` are below `tree`,
    which is below the mirror, as `signature` is.  `templates` are kinds of artifacts, each with a template of the
    library, and `parameters` what the profile has to say where a mirror is not the maker's.
    """

    id: str
    name: str
    releases: dict[str, dict[str, str]]
    architectures: dict[str, str]
    mirror: str
    tree: str
    kernel: str
    initrds: tuple[str, ...]
    arguments: str
    platform: str = ''
    disk_image: str = ''
    sums: str = ''
    signature: str = ''
    templates: dict[str, str] = {}
    parameters: dict[str, Any] = {}


@dataclass(frozen=True)
class Image:
    """What a boot image is made of: a medium for one release and architecture, from one mirror; files are URLs."""

    id: str
    name: str
    release: str
    platform: str
    architecture: str
    kernel: str
    initrds: tuple[str, ...]
    disk_image: str
    sums: str
    signature: str
    arguments: str
    templates: Mapping[str, str]
    parameters: Mapping[str, Any]

    @property
    def files(self) -> list[str]:
        return [url for url in (self.kernel, *self.initrds, self.disk_image) if url]


def read(paths: Iterable[Path] = ()) -> list[Medium]:
    """The media of the plugin, and those of further files, which come first."""
    found: list[Medium] = []
    for path in (*paths, *sorted(FOLDER.glob('*.yaml'))):
        try:
            found += msgspec.convert(yaml.safe_load(path.read_text(encoding='utf-8')), list[Medium])
        except (OSError, UnicodeError, yaml.YAMLError, msgspec.ValidationError) as error:
            raise MediaError(f'{path}: {error}') from error
    return found


def names(media: Iterable[Medium]) -> list[str]:
    """What every medium is called, for people to choose from."""
    return sorted({_filled(medium.id, {'release': release, **words}, medium)
                   for medium in media for release, words in medium.releases.items()})  # fmt: skip


def choose(
    media: Iterable[Medium],
    wanted: str,
    architecture: str = 'x86_64',
    mirror: str = '',
    words: Mapping[str, str] | None = None,
) -> Image:
    """The medium of that name, the first where several have it.  `words` take the place of those of the release."""
    media = list(media)
    for medium in media:
        for release, said in medium.releases.items():
            if _filled(medium.id, {'release': release, **said}, medium) != wanted:
                continue
            if architecture not in medium.architectures:
                raise MediaError(
                    f'{wanted} is there for {", ".join(medium.architectures)}, and not for {architecture}.'
                )
            return _image(medium, release, architecture, mirror, {**said, **(words or {})})
    raise MediaError(f'There is no medium {wanted!r}; there are {", ".join(names(media))}.')


def _image(medium: Medium, release: str, architecture: str, mirror: str, words: Mapping[str, str]) -> Image:
    base = (mirror or medium.mirror).rstrip('/')
    if not base:
        raise MediaError(f'{medium.name} is on no public mirror: name the tree of your own, with --mirror.')
    known = {**words, 'release': release, 'arch': medium.architectures[architecture], 'mirror': base}
    known['tree'] = _filled(medium.tree, known, medium).strip('/')

    def below(*path: str) -> str:
        return '/'.join((base, *(_filled(part, known, medium) for part in path))) if path[-1] else ''

    name = _filled(medium.name, known, medium)
    return Image(
        id=_filled(medium.id, known, medium),
        name=name if architecture == 'x86_64' else f'{name} ({architecture})',
        release=release,
        platform=_filled(medium.platform or medium.id, known, medium),
        architecture=architecture,
        kernel=below('<tree>', medium.kernel),
        initrds=tuple(below('<tree>', path) for path in medium.initrds),
        disk_image=below('<tree>', medium.disk_image),
        sums=below('<tree>', medium.sums),
        signature=below(medium.signature),
        arguments=_filled(medium.arguments, known, medium),
        templates=medium.templates,
        parameters=_deep(medium.parameters, known, medium),
    )


def _filled(text: str, words: Mapping[str, str], medium: Medium) -> str:
    def word(match: re.Match[str]) -> str:
        try:
            return words[match[1]]
        except KeyError:
            raise MediaError(f'{medium.name}: {text!r} has the word <{match[1]}>, which nothing stands for.') from None

    return _WORD.sub(word, text)


def _deep(value: Any, words: Mapping[str, str], medium: Medium) -> Any:
    if isinstance(value, dict):
        return {key: _deep(item, words, medium) for key, item in value.items()}
    return _filled(value, words, medium) if isinstance(value, str) else value


# ---------------------------------------------------------------- checksums

_GNU = re.compile(r'(?P<sum>[0-9a-fA-F]{64}) [ *](?P<path>.+)')
_BSD = re.compile(r'SHA256 \((?P<path>.+)\) = (?P<sum>[0-9a-fA-F]{64})')


def sums(text: str) -> dict[str, str]:
    """SHA-256 by path below the folder of the file: of a SHA256SUMS in either form, or of a .treeinfo."""
    if '[checksums]' in text:
        found = configparser.ConfigParser(interpolation=None, strict=False)
        # Its names are paths, and keep their case; replacing the method is how the library's manual says it is done.
        found.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            found.read_string(text)
        except configparser.Error as error:
            raise MediaError(f'This is no .treeinfo: {error}') from error
        return {
            path: value.removeprefix('sha256:').lower()
            for path, value in found['checksums'].items()
            if value.startswith('sha256:')
        }
    lines = (_GNU.fullmatch(line.strip()) or _BSD.fullmatch(line.strip()) for line in text.splitlines())
    return {str(PurePosixPath(match['path'])): match['sum'].lower() for match in lines if match}


def sums_of(image: Image, text: str) -> dict[str, str]:
    """SHA-256 of the files of an image, by URL, out of its file of checksums; what this does not have is missing."""
    folder = image.sums.rpartition('/')[0]
    known = sums(text)
    return {
        url: known[path] for url in image.files if (path := url.removeprefix(f'{folder}/')) != url and path in known
    }
