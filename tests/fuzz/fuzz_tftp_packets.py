"""Whatever arrives at the TFTP port: it is a packet or malformed, what is answered is well-formed and small, and its
name leads to nothing outside the index."""

import tempfile
from pathlib import Path

from substruct_sidecar.boot import tftp_packets as packets
from substruct_sidecar.boot.loaders import Loaders, clean
from substruct_sidecar.boot.tftp_packets import Malformed, Request, parse
from substruct_sidecar.boot.tftp_transfer import BLOCK, LARGEST_BURST, LARGEST_WINDOW, negotiate
from substruct_sidecar.boot.tftp_words import shown
from tests.fuzz import harness

SEEDS = [
    b'\0\1lpxelinux.0\0octet\0tsize\0000\0blksize\x001456\0',
    b'\0\1/snponly.efi\0octet\0tsize\0000\0blksize\x001468\0windowsize\x004\0',
    b'\0\1\\Boot\\x64\\BCD\0NETASCII\0',
    b'\0\1grub/grub.cfg-02:00:00:00:00:01\0octet\0blksize\x001024\0tsize\0000\0',
    b'\0\1../../etc/passwd\0octet\0timeout\x005\0utimeout\x00250000\0',
    b'\0\1secret\xff\0octet\0',
    b'\0\2upload\0octet\0', b'\0\4\0\1', b'\0\5\0\x08User aborted\0', b'\0\3\0\1data', b'',
]  # fmt: skip

_folder = Path(tempfile.mkdtemp(prefix='substruct-fuzz-'))
(_folder / 'tree' / 'efi').mkdir(parents=True)
(_folder / 'secret').write_bytes(b'out of reach')
(_folder / 'tree' / 'efi' / 'a').write_bytes(b'a')
(_folder / 'tree' / 'link').symlink_to('../secret')
(_folder / 'tree' / 'up').symlink_to('..')
_loaders = Loaders(_folder / 'tree', packages=False)
_known = {loader.name for loader in _loaders.all()}


def check(data: bytes) -> None:
    try:
        found = parse(data)
    except Malformed as error:
        if error.answer is not None:
            assert data[:2] in (b'\0\1', b'\0\2'), 'only requests are answered with errors'
            _small(packets.error(error.answer, str(error)))
        return
    if not isinstance(found, Request):
        return
    assert shown(found.name).isprintable()
    name = clean(found.name)
    assert name is None or ('..' not in name.split('/') and '\\' not in name and name[0] != '/')
    loader = _loaders.find(found.name)
    assert loader is None or loader.name in _known
    for size, largest in ((0, 1468), (1 << 40, 65464), (1000, 100)):
        terms = negotiate(found, size, largest)
        assert 8 <= terms.blksize <= max(largest, BLOCK)
        assert 1 <= terms.windowsize <= LARGEST_WINDOW
        assert terms.windowsize == 1 or terms.windowsize * terms.blksize <= LARGEST_BURST
        asked = [spelled for spelled, _ in found.options]
        given = [spelled for spelled, _ in terms.accepted]
        assert given == [spelled for spelled in asked if spelled in given], 'nothing that was not asked, in its order'
        if terms.accepted:
            answer = packets.option_ack(terms.accepted)
            assert len(answer) <= len(data) + 100, 'an answer is no larger than the question'
            assert answer[2:].count(b'\0') == 2 * len(terms.accepted)


def _small(packet: bytes) -> None:
    assert len(packet) <= 205
    assert packet[4:].count(b'\0') == 1


if __name__ == '__main__':
    harness.main(
        check, SEEDS,
        [f'substruct_sidecar.boot.{name}' for name in ('tftp_packets', 'tftp_transfer', 'loaders')],
    )  # fmt: skip
