"""Fixtures of the tests of automation: what event rules are told."""

import pytest


@pytest.fixture
def told(monkeypatch):
    """What event rules were told: (event type, payload) of Substruct's own events."""
    found = []

    def listen(queue):
        found.extend((e['event_type'], e['data']) for e in queue if e['event_type'].startswith('substruct_'))

    monkeypatch.setattr('extras.events.process_event_queue', listen)
    return found
