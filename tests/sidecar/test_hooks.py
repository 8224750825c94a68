"""Webhooks wake the agent if NetBox signed them just now, and do nothing else."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from substruct_sidecar import hooks
from substruct_sidecar.hooks import Refused, Secret, verify
from substruct_sidecar.wake import Listener
from tests.sidecar.boot.serving import BootServer

SECRET = b'a secret of the boot server'
NOW = 1_800_000_000.0


def body_at(moment: float, **more: object) -> bytes:
    """As NetBox writes it: str() of a time with zone."""
    stamp = str(datetime.fromtimestamp(moment, UTC))
    return json.dumps({'event': 'updated', 'timestamp': stamp, **more}).encode()


def signed(body: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha512).hexdigest()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BootServer]:
    with BootServer(tmp_path) as made:
        (made.folder / 'hook-secret').write_bytes(SECRET + b'\n')
        yield made


def send(server: BootServer, body: bytes, signature: str) -> int:
    return server.post('/hook', body, {'X-Hook-Signature': signature}, at='manage').status


def test_a_signed_webhook_wakes_the_agent(server: BootServer) -> None:
    listener = Listener(server.run)
    body = body_at(time.time(), data={'x': 'ä'})
    assert send(server, body, signed(body)) == 200
    assert listener.wait(5) == {'feed'}
    listener.close()


def test_without_an_agent_it_is_taken_all_the_same(server: BootServer) -> None:
    body = body_at(time.time())
    assert send(server, body, signed(body)) == 202


@pytest.mark.parametrize('signature', ['', 'nonsense', signed(b'other'), signed(body_at(NOW), b'other'), 'ä' * 128])
def test_another_signature_wakes_nobody(server: BootServer, signature: str) -> None:
    listener = Listener(server.run)
    assert send(server, body_at(time.time()), signature.encode().decode('latin-1')) == 401
    assert listener.wait(0.05) == frozenset()
    listener.close()


def test_a_replayed_webhook_wakes_nobody(server: BootServer) -> None:
    body = body_at(time.time() - 301)
    said = server.post('/hook', body, {'X-Hook-Signature': signed(body)}, at='manage')
    assert said.status == 401
    assert 'seconds old' in said.text


def test_a_new_secret_counts_at_once(server: BootServer) -> None:
    body = body_at(time.time())
    (server.folder / 'hook-secret.new').write_bytes(b'new')
    (server.folder / 'hook-secret.new').rename(server.folder / 'hook-secret')
    assert send(server, body, signed(body)) == 401
    assert send(server, body, signed(body, b'new')) == 202


def test_without_a_secret_nothing_is_taken(server: BootServer) -> None:
    (server.folder / 'hook-secret').unlink()
    body = body_at(time.time())
    assert send(server, body, signed(body, b'')) == 401


def test_a_huge_webhook_is_refused(server: BootServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, 'LIMIT', 1000)
    body = body_at(time.time(), data='x' * 1000)
    assert send(server, body, signed(body)) == 413


@pytest.mark.parametrize('age', [0, 299, -299])
def test_within_five_minutes_the_clocks_may_differ(age: int) -> None:
    body = body_at(NOW - age)
    verify(body, signed(body), SECRET, NOW, 300)


@pytest.mark.parametrize(('age', 'words'), [(301, '301 seconds old'), (-301, '301 seconds in the future')])
def test_beyond_that_it_is_refused_with_the_reason(age: int, words: str) -> None:
    body = body_at(NOW - age)
    with pytest.raises(Refused, match=words):
        verify(body, signed(body), SECRET, NOW, 300)


def test_other_zones_are_the_same_time() -> None:
    moment = datetime.fromtimestamp(NOW, UTC) + timedelta(hours=0)
    for stamp in ('2027-01-15T08:00:00Z', '2027-01-15 10:00:00+02:00', moment.isoformat()):
        body = json.dumps({'timestamp': stamp}).encode()
        verify(body, signed(body), SECRET, NOW, 300)


@pytest.mark.parametrize(
    'body',
    [
        b'', b'{}', b'[]', b'null', b'{"timestamp": null}', b'{"timestamp": 5}',
        b'{"timestamp": "2027-01-15T08:00:00"}', b'{"timestamp": "nonsense"}',
        b'{"timestamp": "9999-12-31T23:59:59-23:59"}', b'[' * 100_000, b'\xff',
    ],
)  # fmt: skip
def test_a_body_without_a_time_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        verify(body, signed(body), SECRET, NOW, 300)


@given(st.binary(), st.text())
def test_nothing_but_the_right_signature_is_taken(body: bytes, signature: str) -> None:
    with pytest.raises(Refused):
        verify(body, signature, SECRET, NOW, 300)


def test_the_secret_is_read_again_when_it_changes(tmp_path: Path) -> None:
    secret = Secret(tmp_path / 'hook-secret')
    assert secret.get() == b''
    (tmp_path / 'hook-secret').write_text('one')
    assert secret.get() == b'one'
    (tmp_path / 'hook-secret').write_text('other')
    assert secret.get() == b'other'
    (tmp_path / 'hook-secret').unlink()
    assert secret.get() == b''
