"""Where a machine reaches this boot server: by the address that it asks from, never by what it says (Host).  Pure."""

from ipaddress import ip_address, ip_network

from ..settings import Settings
from ..state import About


def base_url_for(settings: Settings, about: About | None, client_address: str) -> str:
    """The base URL, without a slash at its end; '' if none is known.

    The most specific prefix of [[boot.advertise]] that holds the client's address, then [boot] base_url, then what
    NetBox has for the boot server.
    """
    try:
        address = ip_address(client_address)
    except ValueError:
        address = None
    entries = [(ip_network(entry.prefix), entry.url) for entry in settings.boot.advertise]
    held = [(network.prefixlen, url) for network, url in entries if address is not None and address in network]
    found = max(held)[1] if held else settings.boot.base_url or (about.base_url if about is not None else '')
    return found.rstrip('/')
