"""What boot servers say: how they are, what machines told them, and what they ask for in return.

messages    the typed bodies of what a boot server sends and is answered (pure)
heartbeats  how a boot server and its services are
delivery    what machines reported, taken once each and in order
webhooks    the webhook that wakes a boot server when NetBox changes

What a boot server is to do is told by `feed`; states are moved by `lifecycle`; what facts become is `discovery`.
"""
