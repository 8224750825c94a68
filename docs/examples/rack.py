"""Watch a machine that NetBox does not know being discovered:  PYTHONPATH=. .venv/bin/python docs/examples/rack.py"""

from pathlib import Path

from lab.rack import Disk, Nic, Rack
from lab.stack import Lab

rack = Rack(Lab())
rack.up()  # NetBox too, if it is not up, and the prospector, if it is not built
rack.settled()  # what NetBox says is in DHCP, DNS and the boot service

machine = rack.machine('new-1', firmware='uefi', nics=(Nic(port='swp7'), Nic(network='dark')), disks=(Disk(), Disk()))
with rack.capture(Path('new-1.pcap')):
    machine.power.on()
    script = machine.console.wait_for('boots discovery', 60)  # each wait goes on behind the last one
    facts = machine.console.wait_for('The boot server has the facts', 240)
print(f'{facts.time - script.time:.0f} seconds from its script to its facts')
machine.screenshot(Path('new-1.png'))
found = machine.netbox()  # its Substruct machine, a pynetbox record
print(found, found.state if found else '')
machine.power.off()
