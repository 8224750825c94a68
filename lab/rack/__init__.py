"""The virtual rack: QEMU machines on a bridge in a network namespace, with a DHCP server, a DNS server and the sidecar.

    from lab.rack import Disk, Nic, Rack, Spec
    from lab.stack import Lab

    rack = Rack(Lab())                                  # everything stands in the lab's run folder
    rack.up(dhcp='kea')                                 # or 'isc', 'dnsmasq'; brings NetBox up too if it is not
    web = rack.machine('web-1', firmware='uefi')        # a Spec's fields; the same name again is the same machine
    web.register('172.30.0.11')                         # NetBox knows it: device, interfaces, MAC and IP addresses
    rack.settled()                                      # what NetBox says is in DHCP, DNS and the boot service
    web.power.on()                                      # on, off, soft, cycle, reset, status, next_boot('pxe' | 'disk')
    web.console.wait_for(r'Substruct: .* boots', 60)    # a Line: .time, .text, .match; goes on behind the last match
    web.console.lines(), web.console.text               # everything it has said, with times
    web.screenshot(Path('web-1.png'))
    web.netbox()                                        # its Substruct machine (a pynetbox record), or None
    rack.netbox                                         # pynetbox with the administrator's token
    with rack.capture(Path('boot.pcap')): ...           # every packet on the machines' cables
    rack.down()                                         # nothing is left

The same on the command line: `bin/lab rack up`, `add`, `power`, `console`, `screenshot`, `capture`, `down`.

| module | what it is |
| --- | --- |
| `spec` | what a machine is made of; pure |
| `qemu` | a spec as QEMU's command line; pure |
| `bmc` | the process that owns one machine's QEMU: power, console, screenshots; it is there while the machine is off |
| `machine`, `console` | a machine as others see it: a client of its `bmc`, a reader of its console |
| `holder`, `namespace` | the namespace with its bridges, kept by one process; how others get in |
| `doorway` | connects TCP ports inside and outside over Unix sockets: NetBox and the sidecar reach each other |
| `servers`, `daemon`, `sidecar` | DHCP, DNS and the sidecar in the rack |
| `seed` | what NetBox has to know of the rack |
| `capture`, `packets` | packets into a file, and a file into words |
| `media` | disks that say that they were booted, in a few bytes |
| `rack`, `command` | all of it together; the command line |

Addresses: the rack's network is 172.30.0.0/24, the boot server 172.30.0.1 (HTTP on port 8080, TFTP, DNS, gateway),
leases from .100 to .199, the domain rack.test.  A second network, `dark`, has nobody on it but machines.
"""

from lab.rack.spec import Disk, Nic, Spec

__all__ = ('Disk', 'Machine', 'Nic', 'Rack', 'Spec')


def __getattr__(name: str) -> object:
    """Rack and Machine are loaded when they are asked for: the small processes of the rack do not need them."""
    if name == 'Rack':
        from lab.rack.rack import Rack

        return Rack
    if name == 'Machine':
        from lab.rack.machine import Machine

        return Machine
    raise AttributeError(name)
