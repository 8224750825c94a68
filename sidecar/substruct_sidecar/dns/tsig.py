"""TSIG keys (RFC 8945) as the sidecar keeps them: `algorithm:name:secret`, as dig and nsupdate take them with -y."""

import base64
import binascii

import dns.name
import dns.tsig

from .presentation import is_name, plain, shown

# RFC 8945 section 6, without those that must not be used (hmac-md5) and those that nobody has (gss-tsig).
ALGORITHMS = ('hmac-sha1', 'hmac-sha224', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512')
FORM = 'algorithm:name:secret, for example hmac-sha256:substruct:<the secret in Base64>'


class InvalidKey(ValueError):
    """A secret that is no TSIG key.  The message does not hold it."""


def parse_key(text: str, credential: str) -> dns.tsig.Key:
    """Raises InvalidKey."""
    algorithm, _, rest = text.strip().partition(':')
    name, _, secret = rest.partition(':')
    if not secret:
        raise InvalidKey(f'The secret "{credential}" is no TSIG key: it must be {FORM}.')
    if algorithm.lower() not in ALGORITHMS:
        raise InvalidKey(f'The secret "{credential}" names no algorithm that is known: use {", ".join(ALGORITHMS)}.')
    if not is_name(plain(name)):
        raise InvalidKey(f'The secret "{credential}" has no proper key name: it must be {FORM}.')
    try:
        raw = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raw = b''
    if not raw:
        raise InvalidKey(f'The secret "{credential}" has no Base64 after the key name: it must be {FORM}.')
    return dns.tsig.Key(dns.name.from_text(shown(plain(name))), raw, f'{algorithm.lower()}.')
