"""Validation by type of the values that end up in DHCP, DNS and boot files.

Each function takes a plain value and raises ValidationError with a remedy.  Nothing here knows of models or requests.
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# RFC 1123 section 2.1: letters, digits and hyphens, neither first nor last a hyphen; an underscore is borne as the
# first character of a label because service names (RFC 2782) have it.
_LABEL = re.compile(r'(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z')
_SHA256 = re.compile(r'[0-9a-f]{64}\Z')
_OPTION = re.compile(r'(?:[1-9][0-9]{0,2}|[a-z][a-z0-9-]{0,62})\Z')
_CREDENTIAL = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,98}[A-Za-z0-9])?\Z')
_CONTROL = re.compile(r'[\x00-\x1f\x7f]')

URL_SCHEMES = ('http', 'https', 'ftp', 'file')


def validate_dns_name(value):
    """A fully qualified DNS name of at most 253 characters, without the final dot (RFC 1035 section 2.3.4)."""
    if len(value) > 253 or not all(_LABEL.match(label) for label in value.split('.')):
        raise ValidationError(
            _('"%(value)s" is no DNS name: labels of letters, digits and hyphens, joined by dots, no dot at the end.'),
            params={'value': value},
        )


def validate_mailbox(value):
    """A mailbox as SOA has it: a DNS name whose first label is the mailbox, or user@domain (RFC 1035 section 8)."""
    validate_dns_name(value.replace('@', '.', 1))


def validate_sha256(value):
    """64 hexadecimal digits in lower case."""
    if not _SHA256.match(value):
        raise ValidationError(
            _('"%(value)s" is no SHA-256: 64 hexadecimal digits in lower case, as sha256sum prints it.'),
            params={'value': value},
        )


def validate_source_url(value):
    """Where a boot server fetches a file: http, https, ftp or file, with a host (but for file) and no user in it."""
    parts = urlsplit(value)
    if (
        parts.scheme not in URL_SCHEMES
        or (parts.scheme != 'file' and not parts.hostname)
        or _CONTROL.search(value)
        or ' ' in value
    ):
        raise ValidationError(
            _('"%(value)s" is no URL that a boot server can fetch: use %(schemes)s.'),
            params={'value': value, 'schemes': ', '.join(f'{scheme}://' for scheme in URL_SCHEMES)},
        )
    if parts.username or parts.password:
        raise ValidationError(
            _('The URL holds a user name or password. Keep them on the boot server, which owns all credentials.')
        )


def validate_base_url(value):
    """The URL at which machines reach a boot server: http or https with a host, no query, no fragment."""
    parts = urlsplit(value)
    try:
        parts.port  # noqa: B018  (reading it checks the number)
    except ValueError:
        parts = urlsplit('')
    if parts.scheme not in ('http', 'https') or not parts.hostname or parts.query or parts.fragment or ' ' in value:
        raise ValidationError(
            _(
                '"%(value)s" is no base URL: http:// or https://, a host or address that machines can reach, and a '
                'port where it is not the usual one, for example http://10.0.0.2:8080.'
            ),
            params={'value': value},
        )
    if parts.username or parts.password:
        raise ValidationError(_('The base URL is shown to every machine; it may not hold a user name or password.'))


def validate_credential_name(value):
    """The name under which a boot server keeps a credential; never the credential itself."""
    if not _CREDENTIAL.match(value):
        raise ValidationError(
            _('"%(value)s" is no credential name: letters, digits, dots, slashes, hyphens and underscores.'),
            params={'value': value},
        )


def validate_addresses(values):
    """A list of IP addresses without prefix length."""
    for value in values:
        try:
            ip_address(str(value))
        except ValueError:
            raise ValidationError(
                _('"%(value)s" is no IP address (no prefix length, no host name).'), params={'value': value}
            ) from None


def validate_object(value):
    """A JSON object (not a list, text or number)."""
    if not isinstance(value, dict):
        raise ValidationError(_('Give a JSON object, for example {"key": "value"}.'))


def validate_dhcp_options(value):
    """DHCP options beyond the ones with fields of their own.

    Shape: {option: value}, the option by its number (1 to 254 for DHCPv4, RFC 2132) or by its name in the IANA list
    ("tftp-server-name"), the value text, an integer, true or false, or a list of them.
    """
    validate_object(value)
    for option, setting in value.items():
        if not _OPTION.match(option) or (option.isdigit() and int(option) > 254):
            raise ValidationError(
                _('"%(option)s" is no DHCP option: use its number (1 to 254) or its name, such as "tftp-server-name".'),
                params={'option': option},
            )
        for item in setting if isinstance(setting, list) else [setting]:
            if not isinstance(item, str | int | bool):
                raise ValidationError(
                    _('DHCP option %(option)s: give text, a whole number, true or false, or a list of them.'),
                    params={'option': option},
                )
            if isinstance(item, str) and (_CONTROL.search(item) or len(item) > 255):
                raise ValidationError(
                    _('DHCP option %(option)s: the text has control characters or is longer than 255 characters.'),
                    params={'option': option},
                )


def validate_initrds(value):
    """The initial RAM disks of a boot image, in the order in which they are loaded.

    Shape: [{"source": URL, "sha256": 64 hexadecimal digits, optional}, ...]
    """
    if not isinstance(value, list):
        raise ValidationError(_('Give a JSON list, for example [{"source": "http://…/initrd.gz", "sha256": "…"}].'))
    for number, entry in enumerate(value, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get('source'), str) or set(entry) - {'source', 'sha256'}:
            raise ValidationError(
                _('Initrd %(number)s: give an object with "source" and, if it is to be checked, "sha256", no more.'),
                params={'number': number},
            )
        validate_source_url(entry['source'])
        if entry.get('sha256') not in (None, ''):
            validate_sha256(str(entry['sha256']))


def validate_condition(value):
    """The condition of a discovery rule.

    Shape: {path in the facts, with dots: pattern}, all of which must match; the pattern is a value to be equal to, or
    text with * and ? as in file names, or a list of which one must match.
    """
    validate_object(value)
    for path, pattern in value.items():
        if not all(part for part in path.split('.')):
            raise ValidationError(
                _('"%(path)s" is no path into the facts: names joined by dots, such as "system.manufacturer".'),
                params={'path': path},
            )
        for item in pattern if isinstance(pattern, list) else [pattern]:
            if isinstance(item, dict | list):
                raise ValidationError(
                    _('%(path)s: give text, a number, true, false, null, or a list of them.'), params={'path': path}
                )
