"""Facts become machines, and machines become devices.

lenient     reading what nobody vouches for (pure)
facts       the facts of a machine, typed (pure)
finding     which machine it is that facts are about
keeping     facts of a machine over time
taking      what happens when facts arrive
sight       what whoever looks may see of NetBox
matching    which object of NetBox a discovered machine may be
rules       discovery rules: which applies, and what it says (pure but for reading them)
changes     what is going to be written, line by line, and writing it
ports, parts, places, neighbours
            what stands behind lines: interfaces, inventory, prefixes and sites, cables
difference  facts and what NetBox holds, side by side
choosing    what is chosen when a machine is adopted
adoption    a discovered machine becomes a device or virtual machine
merging     two machines that turned out to be one
automatic   adoption by a rule, without anybody
trying      what a rule would take, before it does
inbox       the machines that wait for somebody, with what they may be
many        many of them adopted after one review

Nothing here knows of HTTP requests or forms.  What a user may do is asked where something is written (`changes`).
"""
