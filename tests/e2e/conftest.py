"""The whole of it, for stories that take their time."""

from collections.abc import Iterator

import pytest

from tests.e2e.whole import BOOT_SERVER, Whole, a_lab, the_whole
from tests.sidecar import net
from tests.sidecar.dhcp import kea_servers
from tests.sidecar.dns.servers import need


@pytest.fixture(scope='module')
def whole() -> Iterator[Whole]:
    """NetBox with one boot server that serves 10.60.0.0/16, the sidecar, Kea and BIND."""
    if reason := net.missing() or kea_servers.missing('postgresql'):
        pytest.skip(reason)
    need('kea-dhcp4', 'named', 'dig')
    net.sweep()
    with a_lab('e2e') as lab, the_whole(lab) as found:
        prefix = found.api.ipam.prefixes.create(prefix='10.60.0.0/16', status='container')
        found.substruct.boot_servers.create(name=BOOT_SERVER, base_url='http://10.60.0.1:8080', prefixes=[prefix.id])
        found.start_kea()
        found.start_named()
        found.start_sidecar()
        yield found
