"""Markers: the three things in an artifact that are known only when a machine asks, filled in when it is served.

    @@substruct:base-url@@              where the machine reaches this boot server, without a slash at its end
    @@substruct:token@@                 the build's token
    @@substruct:secret:NAME@@           the secret of that name, as it is
    @@substruct:secret:NAME:FORMAT@@    the secret, quoted for that format (`quoting.FORMATS`)

Everything is filled in one pass, so no value is ever searched for markers; an artifact is filled as a whole or not at
all.  The plugin's `bundles.markers` makes them.  Pure but for the secrets, which are asked for by name.
"""

import re
from collections.abc import Callable

from ..secrets import SecretError
from . import quoting

PREFIX = '@@substruct:'
BASE_URL = f'{PREFIX}base-url@@'

_MARKER = re.compile(
    r'@@substruct:(?:(?P<plain>base-url|token)'
    r'|secret:(?P<secret>[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,98}[A-Za-z0-9])?)(?::(?P<format>[a-z]+))?)@@'
)
# What may stand in a URL without quoting in every format that there is: shell, YAML, iPXE, kernel command line, …
_BASE_URL = re.compile(r'https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%/-]*)?\Z')
_TOKEN = re.compile(r'[A-Za-z0-9_-]{1,200}\Z')


class MarkerError(ValueError):
    """An artifact cannot be filled in.  The message says what is missing or wrong, never a secret's value."""


def is_base_url(text: str) -> bool:
    """Whether it can be told to machines, in whatever it stands."""
    return _BASE_URL.match(text) is not None


def fill(content: str, base_url: str, token: str = '', secret: Callable[[str], str] | None = None) -> str:
    """The text as the machine gets it.  `secret` gives a secret's value by its name.

    Raises MarkerError if anything cannot be filled in: a secret that is not there, or that the format cannot hold, a
    marker of a kind that this sidecar does not know.
    """
    if PREFIX not in content:
        return content
    if not is_base_url(base_url):
        raise MarkerError(
            f'the base URL "{base_url[:200]}" is none; set it on the boot server in NetBox, or in [boot].'
        )
    if content.count(PREFIX) != sum(1 for _ in _MARKER.finditer(content)):
        raise MarkerError('it holds a marker that this sidecar does not know; is the plugin newer than the sidecar?')

    def value(match: re.Match[str]) -> str:
        if match['plain'] == 'base-url':
            return base_url.rstrip('/')
        if match['plain'] == 'token':
            if not _TOKEN.match(token):
                raise MarkerError('it needs a build’s token, and there is none here.')
            return token
        return _secret(match['secret'], match['format'] or '', secret)

    return _MARKER.sub(value, content)


def needs(content: str) -> list[str]:
    """The names of the secrets that an artifact needs, in order, each once."""
    return list(dict.fromkeys(match['secret'] for match in _MARKER.finditer(content) if match['secret']))


def _secret(name: str, wanted: str, secret: Callable[[str], str] | None) -> str:
    if secret is None:
        raise MarkerError(f'it needs the secret "{name}", and no secrets are given here.')
    function = quoting.FORMATS.get(wanted)
    if function is None:
        raise MarkerError(f'the secret "{name}" is to be quoted for "{wanted}", which this sidecar does not know.')
    try:
        return function(secret(name))
    except SecretError as error:
        raise MarkerError(str(error)) from error
    except quoting.QuotingError as error:
        where = f'in the format {wanted}' if wanted else 'without quoting'
        raise MarkerError(f'the secret "{name}" cannot stand {where}: {error}.') from error
