"""Fixtures of the tests of automation: what event rules are told, and queues of NetBox's worker that are empty."""

import pytest


@pytest.fixture
def told(monkeypatch):
    """What event rules were told: (event type, payload) of Substruct's own events."""
    found = []

    def listen(queue):
        found.extend((e['event_type'], e['data']) for e in queue if e['event_type'].startswith('substruct_'))

    monkeypatch.setattr('extras.events.process_event_queue', listen)
    return found


@pytest.fixture
def queues():
    from .world import empty_queues  # it needs NetBox's settings, which are loaded after this file

    empty_queues()
    yield
    empty_queues()
