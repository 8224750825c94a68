"""What machines send, under a coverage-guided fuzzer: logs, progress, facts, ranges, and what stands in boot scripts.

Decoding never fails; what is kept can be kept (UTF-8, JSON, no NUL); no name becomes a statement of a script.

    python -m tests.fuzz.fuzz_callbacks -max_total_time=60
"""

import sys

import atheris

with atheris.instrument_imports(include=['substruct_sidecar']):
    from substruct_sidecar.boot import callbacks, identify, markers, quoting
    from substruct_sidecar.boot.clients import Proxies
    from substruct_sidecar.boot.ranges import part_of

import msgspec

DIGEST = 'a' * 64
_encode = msgspec.json.Encoder().encode
HEADERS = ('Range', 'If-Range', 'If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since')


def kept(message: callbacks.Message) -> None:
    """A message goes through JSON into PostgreSQL."""
    encoded = _encode(message)
    assert b'\\u0000' not in encoded, encoded
    msgspec.json.decode(encoded, type=callbacks.Message)
    assert len(message.message) <= callbacks.LINE + 60
    assert '\n' not in message.message
    assert message.progress is None or 0 <= message.progress <= 100


def reports(provider: atheris.FuzzedDataProvider) -> None:
    cut = provider.ConsumeBool()
    body = provider.ConsumeBytes(1 << 16)
    said = callbacks.tail_of(body, cut)
    kept(callbacks.ended(1, DIGEST, 'failed', said, 0.0, '10.0.0.1'))
    kept(callbacks.progress(1, DIGEST, said, 0.0))
    kept(callbacks.log_lines(1, DIGEST, said, 0.0, '10.0.0.1'))


def facts(provider: atheris.FuzzedDataProvider) -> None:
    body = provider.ConsumeBytes(1 << 16)
    try:
        found = callbacks.facts_of(body)
    except callbacks.Refused as refused:
        assert str(refused)
        return
    kept(callbacks.facts(body, found, None, 0.0))
    assert found.macs or found.uuid or found.serial


def ranges(provider: atheris.FuzzedDataProvider) -> None:
    size = provider.ConsumeIntInRange(0, 1 << 40)
    headers = {name: provider.ConsumeUnicode(80) for name in HEADERS if provider.ConsumeBool()}
    part = part_of(headers, size, 'etag', 1_700_000_000)
    assert part.start >= 0
    assert part.start + part.count <= size
    assert Proxies(['10.0.0.0/8']).client('10.0.0.1', [provider.ConsumeUnicode(200)])


def names(provider: atheris.FuzzedDataProvider) -> None:
    text = provider.ConsumeUnicode(1000)
    shown = quoting.ipxe_text(text)
    assert not {'||', '&&', ';'} & set(shown.split())
    assert not any(word[0] in '#-$' for word in shown.split())
    assert '${' not in shown
    identify.identify(identify.claims(text, text, text, text, text), lambda kind, value: [])


def artifacts(provider: atheris.FuzzedDataProvider) -> None:
    value = provider.ConsumeUnicode(100)
    content = provider.ConsumeUnicode(300) + markers.PREFIX + provider.ConsumeUnicode(100)
    try:
        markers.fill(content, 'http://h', 'token', lambda name: value)
    except markers.MarkerError as error:
        assert len(value) < 8 or value not in str(error)


KINDS = (reports, facts, ranges, names, artifacts)


def one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    KINDS[provider.ConsumeIntInRange(0, len(KINDS) - 1)](provider)


def main() -> None:
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == '__main__':
    main()
