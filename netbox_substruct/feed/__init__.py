"""The feed: the desired state of everything that one boot server serves, as a snapshot and then as changes.

changes   what is noticed when NetBox's tables change (database triggers), and how long it is kept
cursor    the point up to which a reader has seen everything
subnets   values of subnets with what they inherit (pure)
scope     which boot server serves what (pure)
messages  the typed lines of the feed, and its protocol version (pure)
scripts   the boot scripts that belong to no build
queries   the SQL that reads desired state
reader    snapshot and delta
"""
