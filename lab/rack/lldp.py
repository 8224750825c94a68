"""What a switch says of itself on each port (LLDP, IEEE 802.1AB).  Pure."""

_TO = bytes.fromhex('0180c200000e')
_FROM = bytes.fromhex('02005e000001')
CHASSIS, NAME, DESCRIPTION, ADDRESS = '02:00:5e:00:00:01', 'rack-sw1', 'The switch of the virtual rack', '172.30.0.2'


def frame(port: str) -> bytes:
    """One announcement on the port of that name; it holds for two minutes."""
    parts = [
        _tlv(1, b'\x04' + _FROM),  # chassis id: MAC address
        _tlv(2, b'\x05' + port.encode()[:250]),  # port id: interface name
        _tlv(3, (120).to_bytes(2)),
        _tlv(4, f'Port {port}'.encode()[:250]),
        _tlv(5, NAME.encode()),
        _tlv(6, DESCRIPTION.encode()),
        _tlv(7, b'\x00\x14\x00\x04'),  # bridge and router; bridge is enabled
        # management address: IPv4, then interface number 1 and no object identifier
        _tlv(8, b'\x05\x01' + bytes(int(part) for part in ADDRESS.split('.')) + b'\x02\x00\x00\x00\x01\x00'),
        _tlv(127, bytes.fromhex('0080c201') + (1).to_bytes(2)),  # IEEE 802.1: port VLAN
        _tlv(0, b''),
    ]
    return (_TO + _FROM + b'\x88\xcc' + b''.join(parts)).ljust(60, b'\0')


def _tlv(kind: int, content: bytes) -> bytes:
    return (kind << 9 | len(content)).to_bytes(2) + content
