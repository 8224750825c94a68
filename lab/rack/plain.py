"""Makes iPXE's DHCP packets look like those of an ordinary PXE ROM.  Pure.

No package has a BIOS ROM that is not iPXE.  A plain machine runs iPXE with the user class `plain`; from packets that
carry it, the user class and iPXE's own option are taken out.  What is left is what a PXE ROM says: vendor class,
architecture, interface, UUID.  The loaders that it fetches later speak for themselves.
"""

from lab.rack.qemu import PLAIN

_MAGIC = b'\x63\x82\x53\x63'  # RFC 2131 section 3
_USER_CLASS, _IPXE = 77, 175
_IPV4, _UDP = b'\x08\x00', 17


def filtered(frame: bytes) -> bytes:
    """The frame as it leaves the machine, of the same length."""
    if len(frame) < 42 or frame[12:14] != _IPV4 or frame[23] != _UDP:
        return frame
    udp = 14 + (frame[14] & 0x0F) * 4
    if frame[udp + 2 : udp + 4] != b'\x00\x43':
        return frame
    begin = udp + 8 + 240
    if frame[begin - 4 : begin] != _MAGIC:
        return frame
    found = list(_options(frame, begin))
    if not any(code == _USER_CLASS and frame[start + 2 : end] == PLAIN.encode() for code, start, end in found):
        return frame
    changed = bytearray(frame)
    kept = b''.join(frame[start:end] for code, start, end in found if code not in (_USER_CLASS, _IPXE)) + b'\xff'
    changed[begin:] = kept.ljust(len(frame) - begin, b'\0')
    changed[udp + 6 : udp + 8] = b'\0\0'  # no checksum (RFC 768)
    return bytes(changed)


def _options(frame: bytes, at: int) -> list[tuple[int, int, int]]:
    """(code, beginning, end) of each."""
    found = []
    while at + 1 < len(frame) and frame[at] != 255:
        if frame[at] == 0:
            at += 1
            continue
        end = at + 2 + frame[at + 1]
        found.append((frame[at], at, end))
        at = end
    return found
