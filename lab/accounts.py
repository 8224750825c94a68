"""The lab's administrator and API token: random, made once, kept in the run folder."""

import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.files import write_atomically

ALPHABET = string.ascii_letters + string.digits


def random_text(length: int) -> str:
    return ''.join(secrets.choice(ALPHABET) for _ in range(length))


@dataclass(frozen=True)
class Accounts:
    """`token` is what goes behind "Bearer" in a request: nbt_<key>.<secret>."""

    username: str
    password: str
    token_key: str
    token_secret: str

    @property
    def token(self) -> str:
        return f'nbt_{self.token_key}.{self.token_secret}'

    @classmethod
    def kept(cls, path: Path) -> 'Accounts':
        """The accounts in that file, made up if it is not there."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            # NetBox's lengths: 12 for the key, 40 for the secret (users.constants).
            made = cls('admin', random_text(20), random_text(12), random_text(40))
            write_atomically(path, json.dumps(asdict(made), indent=2) + '\n')
            return made
