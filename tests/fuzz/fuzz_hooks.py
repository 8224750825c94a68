"""The webhook receiver under a coverage-guided fuzzer: whatever arrives is taken, or refused in words, and never taken
without the right signature.

    python -m tests.fuzz.fuzz_hooks -max_total_time=60
"""

import hashlib
import hmac
import sys

import atheris

with atheris.instrument_imports(include=['substruct_sidecar']):
    from substruct_sidecar.hooks import Refused, verify

SECRET = b'secret'
NOW = 1_800_000_000.0


def one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    honest = provider.ConsumeBool()
    signature = provider.ConsumeUnicode(140)
    body = provider.ConsumeBytes(1 << 16)
    right = hmac.new(SECRET, body, hashlib.sha512).hexdigest()
    try:
        verify(body, right if honest else signature, SECRET, NOW, 300.0)
    except Refused as refused:
        assert 0 < len(str(refused)) < 300
    else:
        assert honest or signature.strip().lower() == right, 'taken without the right signature'
        assert b'timestamp' in body or b'\\u' in body
    try:
        verify(body, right, b'', NOW, 300.0)
    except Refused:
        pass
    else:
        raise AssertionError('taken without a secret')


def main() -> None:
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == '__main__':
    main()
