"""The presentation format of DNS (RFC 1035 section 5.1): the one place where names and values become text.  Pure.

Names inside the sidecar are plain: lower case, ASCII, absolute, without the final dot.  Values are what dnspython makes
of a parsed record, so nothing that NetBox holds gets into a zone file or an API unread.
"""

import re
import socket
from functools import lru_cache

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.IN.A import A

# RFC 1123 section 2.1; name servers refuse addresses and mail servers with other names (BIND: check-names).
_HOSTNAME = re.compile(
    r'(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z'
)
# What other records may be called as well: service names (RFC 8552), RFC 2317's slash, a wildcard (RFC 4592).
_NAME = re.compile(r'(?=.{1,253}\Z)(?:\*\.)?(?:[a-z0-9_/-]{1,63}\.)*[a-z0-9_/-]{1,63}\Z')
_PLAIN = re.compile(r'[A-Za-z0-9_/*-]+\Z')
_PLAIN_NAME = re.compile(r'[A-Za-z0-9_/*.-]+\Z')

# Types whose target must be the name of a host, and where it stands in dnspython's objects.
_HOST_TARGETS = {'NS': 'target', 'MX': 'exchange', 'SRV': 'target', 'PTR': 'target'}
# The zone's own, what a signing server makes, and what is no data (RFC 6895 section 3.1).
_NOT_OURS = frozenset(('SOA', 'RRSIG', 'NSEC', 'NSEC3', 'NSEC3PARAM', 'SIG', 'KEY', 'NXT', 'TYPE0', 'NONE'))

is_hostname = _HOSTNAME.match
is_name = _NAME.match


# Longer values fit into a message, but not with what else must be in it; name servers fail in their own ways.
MAX_VALUE = 16384


class Unusable(ValueError):
    """A name or value that cannot be in a zone; the message says why."""


def plain(name: str) -> str:
    """A name as the sidecar has it."""
    return name.lower().removesuffix('.')


def shown(name: str) -> str:
    """A plain name in presentation format, with its final dot: every character that could mean something is escaped."""
    if _PLAIN_NAME.match(name):
        return name + '.'
    if not name:
        return '.'
    return '.'.join(label if _PLAIN.match(label) else _escaped(label) for label in name.split('.')) + '.'


def _escaped(label: str) -> str:
    return ''.join(
        chr(byte) if _PLAIN.match(chr(byte)) else f'\\{byte:03d}' for byte in label.encode('utf-8', 'surrogateescape')
    )


def line(name: str, ttl: int, type_: str, value: str) -> str:
    """One record of a zone file; `value` comes from `value_of`, `address_value` or `target`."""
    return f'{shown(name)} {ttl} IN {type_} {value}'


def address_value(text: str) -> tuple[str, str]:
    """(type, value) of the record for an address: A or AAAA (RFC 1035 section 3.4.1, RFC 3596)."""
    try:
        if ':' in text:
            return 'AAAA', socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text))
        return 'A', socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text))
    except (OSError, ValueError, UnicodeError):
        raise Unusable(f'"{text[:60]}" is no IP address.') from None


def mailbox(text: str) -> str:
    """SOA RNAME in presentation format, of user@domain or the name that stands for it (RFC 1035 section 8)."""
    user, at, domain = text.partition('@')
    if not at:
        user, _, domain = text.partition('.')
    domain = plain(domain)
    if not re.fullmatch(r'[A-Za-z0-9._+-]{1,63}', user) or not is_hostname(domain):
        raise Unusable(f'"{text[:100]}" is no mailbox.')
    return user.replace('.', '\\.') + '.' + shown(domain)


def value_of(type_: str, text: str, origin: str) -> str:
    """The one form of a value that somebody wrote; names in it that have no final dot are within `origin`."""
    found = rdata(type_, text, origin)
    target = getattr(found, _HOST_TARGETS.get(type_, ''), None)
    if target is not None and target != dns.name.root and not is_hostname(plain(target.to_text())):
        raise Unusable(f'"{target}" is no name of a host.')
    return text_of(found)


def rdata(type_: str, text: str, origin: str = '') -> dns.rdata.Rdata:
    """The parsed value.  Raises Unusable."""
    # The many, without a detour.
    if type_ == 'A' and address_value(text)[0] == type_:
        return A(dns.rdataclass.IN, dns.rdatatype.A, text)  # type: ignore[no-untyped-call]
    if type_ == 'PTR' and text[-1:] == '.' and is_hostname(text[:-1]):
        return PTR(dns.rdataclass.IN, dns.rdatatype.PTR, name_of(text[:-1]))  # type: ignore[no-untyped-call]
    # Names are what they are: one that is not ASCII is a mistake, not something to be translated.
    if not (text.isascii() and text.isprintable()):
        raise Unusable(f'"{text[:100]}" is not plain ASCII; write other bytes as \\DDD, and names in their xn-- form.')
    if len(text) > MAX_VALUE:
        raise Unusable(f'A value of {len(text)} characters is too long; the longest has {MAX_VALUE}.')
    try:
        rdtype = dns.rdatatype.from_text(type_)
        if type_ in _NOT_OURS or dns.rdatatype.is_metatype(rdtype):
            raise Unusable(f'Records of type {type_} are made by name servers.')
        return dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, origin=name_of(origin), relativize=False)
    except dns.exception.DNSException as error:
        raise Unusable(f'"{text[:100]}" is no value of type {type_[:20]}: {error}.') from None
    except (ValueError, UnicodeError, OverflowError, IndexError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(f'"{text[:100]}" is no value of type {type_[:20]}.') from None


@lru_cache(maxsize=4096)
def name_of(name: str) -> dns.name.Name:
    """A plain name as dnspython has it."""
    if is_hostname(name):
        return dns.name.Name([*name.encode('ascii').split(b'.'), b''])
    return dns.name.from_text(shown(name))


def text_of(value: dns.rdata.Rdata) -> str:
    """The one form of a parsed value: absolute names, those of CNAME, NS and PTR in lower case (they are compared)."""
    text: str = value.to_text()
    return text.lower() if value.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.NS, dns.rdatatype.PTR) else text
