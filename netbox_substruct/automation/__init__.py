"""What Substruct does by itself because an event rule of NetBox says so.

starting   whether an event rule's "start a build" does it, doing it, and saying why not

The action that NetBox knows stands in `event_rules`, beside the other things that NetBox looks for by name.
"""
