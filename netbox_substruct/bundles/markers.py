"""Markers: what stands in an artifact for the three things that are known only when a machine asks.

    @@substruct:base-url@@              the URL at which the machine reaches the boot server, without a slash at its end
    @@substruct:token@@                 the build's token
    @@substruct:secret:NAME@@           the secret of that name, as it is
    @@substruct:secret:NAME:FORMAT@@    the secret, quoted by the boot server for that format (`quoting.FORMATS`)

Only templates make markers, through `urls` and `secret()`.  Data cannot: while an artifact is rendered its markers
carry a random word that nobody can know before; afterwards they lose it, and whatever then looks like a marker but did
not have it is refused.
"""

import re
import secrets

PREFIX = '@@substruct:'
SUFFIX = '@@'
BASE_URL = f'{PREFIX}base-url{SUFFIX}'
TOKEN = f'{PREFIX}token{SUFFIX}'

# As `validators.validate_credential_name` has it: the name of a credential on the boot server.
SECRET_NAME = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,98}[A-Za-z0-9])?\Z')

MARKER = re.compile(
    r'@@substruct:(?:(?P<plain>base-url|token)'
    r'|secret:(?P<secret>[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,98}[A-Za-z0-9])?)(?::(?P<format>[a-z]+))?)@@'
)


class MarkerError(ValueError):
    """Text that looks like a marker and is none, a marker that was changed, or a secret with an impossible name."""


def secret(name: str, quoting: str = '') -> str:
    """The marker of a secret.  The value itself never comes near NetBox."""
    if not isinstance(name, str) or not SECRET_NAME.match(name):
        raise MarkerError(
            f'{name!r} is no name of a secret: letters, digits, dots, slashes, hyphens and underscores, '
            f'as the boot server keeps it.'
        )
    return f'{PREFIX}secret:{name}{":" + quoting if quoting else ""}{SUFFIX}'


def found(content: str) -> list[str]:
    """The markers in a finished artifact, in order, each once."""
    return list(dict.fromkeys(match.group(0) for match in MARKER.finditer(content)))


def secrets_in(content: str) -> list[str]:
    """The names of the secrets that a finished artifact needs, in order, each once."""
    return list(dict.fromkeys(match['secret'] for match in MARKER.finditer(content) if match['secret']))


class Sealed:
    """The markers of one rendering, with the word that tells them from text that only looks like them."""

    def __init__(self) -> None:
        # Letters and digits only, so that no quoting function touches it; always of one length, so that a template
        # which measures or cuts text does the same at every rendering.
        self.word = secrets.token_hex(16)
        self._prefix = f'@@substruct-{self.word}:'
        self._secret = re.compile(
            re.escape(self._prefix) + r'secret:(?P<name>[A-Za-z0-9][A-Za-z0-9._/-]{0,99})(?::(?P<format>[a-z]+))?@@'
        )

    def seal(self, marker: str) -> str:
        return self._prefix + marker.removeprefix(PREFIX)

    @property
    def base_url(self) -> str:
        return self.seal(BASE_URL)

    @property
    def token(self) -> str:
        return self.seal(TOKEN)

    def secret(self, name: str) -> str:
        return self.seal(secret(name))

    def quoted(self, text: str, quoting: str) -> str | None:
        """A secret's marker that tells the boot server to quote its value; None where the text holds no secret.

        The value is not known here, so only a text that is nothing but the secret can be quoted.
        """
        if self._prefix + 'secret:' not in text:
            return None
        match = self._secret.fullmatch(text)
        if match is None:
            raise MarkerError(
                'a secret is joined to other text and then quoted; quote the secret alone: {{ secret("…") | quote_… }}.'
            )
        if match['format']:
            raise MarkerError(f'the secret {match["name"]} is quoted twice.')
        return self.seal(secret(match['name'], quoting))

    def open(self, content: str) -> str:
        """The finished artifact.  Raises MarkerError, its `line` the line of the artifact."""
        position = content.find(PREFIX)
        if position >= 0:
            raise MarkerError(
                f'line {content.count(chr(10), 0, position) + 1} of the result holds "{PREFIX}", which only urls and '
                f'secret() may make; take it out of the data or the template that it comes from.'
            )
        opened = content.replace(self._prefix, PREFIX)
        if self.word in opened.lower() or self.word[::-1] in opened.lower():
            raise MarkerError('a marker was changed by a filter; use urls and secret() as they are, or quoted.')
        for position in _positions(opened):
            if not MARKER.match(opened, position):
                raise MarkerError(
                    f'a marker was cut in line {opened.count(chr(10), 0, position) + 1} of the result; '
                    f'use urls and secret() as they are, or quoted.'
                )
        return opened


def _positions(content: str) -> list[int]:
    return [match.start() for match in re.finditer(re.escape(PREFIX), content)]
