"""Secrets by name: TSIG keys, OMAPI keys, API keys, what templates fill in.  The sidecar owns the values.

Source, first found wins: the environment variable SUBSTRUCT_SECRET_<NAME> (everything but letters and digits an
underscore, in upper case), then the file <directory>/<name>.  A value never appears in a log, an error or NetBox.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

PREFIX = 'SUBSTRUCT_SECRET_'
# As NetBox's side has it (validators.validate_credential_name).
_NAME = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,98}[A-Za-z0-9])?\Z')


class SecretError(Exception):
    """A secret is not there or cannot be read.  The message has its name and never its value."""


class Secrets:
    def __init__(self, directory: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._directory = directory
        self._environment = environment

    def get(self, name: str) -> str:
        """The value, without the line break at its end.  Raises SecretError."""
        if not _NAME.match(name) or '..' in name.split('/'):
            raise SecretError(f'"{name[:100]}" is no name of a secret.')
        variable = PREFIX + re.sub(r'[^A-Za-z0-9]', '_', name).upper()
        if variable in self._environment:
            return self._environment[variable]
        path = self._directory / name
        try:
            value = path.read_text('utf-8')
        except FileNotFoundError:
            raise SecretError(
                f'There is no secret "{name}": put it into the file {path} (readable by the sidecar alone) or into the '
                f'variable {variable}.'
            ) from None
        except OSError as error:
            raise SecretError(f'The secret "{name}" cannot be read from {path}: {error.strerror}.') from None
        except UnicodeDecodeError:
            raise SecretError(f'The secret "{name}" in {path} is not UTF-8 text.') from None
        return value.rstrip('\r\n')
