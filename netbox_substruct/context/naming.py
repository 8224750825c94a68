"""Names that follow from others: host names, names of interfaces, and the paths of boot files.  Pure."""

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_NOT_LABEL = re.compile(r'[^a-z0-9-]+')
_NOT_INTERFACE = re.compile(r'[^A-Za-z0-9_.-]+')
_PORT = re.compile(r'[0-9][0-9.-]*\Z')


def label(text: str) -> str:
    """Text as a label of a host name (RFC 1123, 2.1): lower case, everything else a hyphen, at most 63 characters."""
    return _NOT_LABEL.sub('-', text.lower()).strip('-')[:63].rstrip('-')


def names_of(name: str, dns_names: Iterable[str], domains: Iterable[str], fallback: str) -> tuple[str, str, str]:
    """(host name, fully qualified name, domain) of a machine.

    A name with dots is taken as fully qualified.  Else the first of `dns_names` whose first label is the name gives the
    domain, and else the first of `domains` that is set.  What cannot stand in a host name becomes a hyphen; a machine
    without any usable name is called `fallback`.
    """
    labels = [found for part in name.split('.') if (found := label(part))]
    hostname = labels[0] if labels else fallback
    domain = '.'.join(labels[1:]) if re.fullmatch(r'[A-Za-z0-9.-]+', name) else ''
    if not domain:
        hostname = label(name) or fallback
        for dns_name in dns_names:
            first, _, rest = dns_name.lower().rstrip('.').partition('.')
            if first == hostname and rest:
                domain = rest
                break
        else:
            domain = next((found.lower().rstrip('.') for found in domains if found), '')
    return hostname, f'{hostname}.{domain}' if domain else hostname, domain


def os_names(names: Iterable[str]) -> list[str]:
    """What the kernel can call the interfaces of a machine: at most 15 characters (IFNAMSIZ), each name once.

    A name that Linux can have stays.  A longer one is cut before the numbers at its end, which tell ports apart.
    """
    found: list[str] = []
    for name in names:
        usable = _NOT_INTERFACE.sub('-', name).strip('-') or 'if'
        if len(usable) > 15:
            end = _PORT.search(usable)
            tail = end.group()[-10:] if end else ''
            usable = usable[: 15 - len(tail)] + tail
        if usable in ('.', '..', 'all', 'default'):
            usable = f'if-{usable}'.rstrip('.')
        number, wanted = 2, usable
        while usable in found:
            usable = f'{wanted[: 14 - len(str(number))]}_{number}'
            number += 1
        found.append(usable)
    return found


def file_path(url: str, sha256: str | None) -> str:
    """Where the boot server serves a boot file, below its base URL: by content, or by source where that is unknown."""
    if sha256:
        return f'files/{sha256}'
    return f'files/url-{hashlib.sha256(url.encode()).hexdigest()}'


def file_name(url: str) -> str:
    """What the source calls the file; letters, digits, dots, hyphens and underscores only."""
    name = unquote(urlsplit(url).path).rsplit('/', 1)[-1]
    return re.sub(r'[^A-Za-z0-9._-]+', '_', name) or 'file'
