"""Disks that say on the serial console that they were booted, and stop.  Pure; a few bytes each.

They stand for an installed system where a test is about reaching the disk.
"""

import struct

SECTOR = 512


def bios(text: str) -> bytes:
    """A disk whose boot sector writes a line to the first serial port (and to the screen), and halts."""
    code = bytes.fromhex(
        '31c0 8ed8 be207c'  # xor ax,ax; mov ds,ax; mov si,0x7c20
        'ac 84c0 7409'  # next: lodsb; test al,al; jz end
        'b40e bb0700 cd10'  # mov ah,0x0e; mov bx,7; int 0x10
        'ebf2'  # jmp next
        'f4 ebfd'  # end: hlt; jmp end
    )
    message = text.encode('ascii') + b'\r\n\0'
    if len(message) > 400:
        raise ValueError('the text does not fit into a boot sector')
    return code.ljust(0x20, b'\x90') + message.ljust(510 - 0x20, b'\0') + b'\x55\xaa'


def uefi(text: str) -> bytes:
    """A disk with an EFI system partition's files, \\EFI\\BOOT\\BOOTX64.EFI among them, and no partition table."""
    return fat(application(text))


def application(text: str) -> bytes:
    """A UEFI application (PE32+, x64) that prints a line and waits for ever.

    EFI_SYSTEM_TABLE.ConOut is at offset 64, its OutputString at 8 (UEFI 2.10 sections 4.3 and 12.4).
    """
    message = f'\r\n{text}\r\n\0'.encode('utf-16-le')
    before = bytes.fromhex(
        '4883ec28'  # sub rsp,40
        '488b4a40'  # mov rcx,[rdx+64]
        '488d15'  # lea rdx,[rip+…]
    )
    after = bytes.fromhex(
        'ff5108'  # call [rcx+8]
        'f390 ebfc'  # wait: pause; jmp wait
    )
    code = before + struct.pack('<i', len(after)) + after
    body = (code + message).ljust(0x400, b'\0')
    if len(body) > 0x400:
        raise ValueError('the text is too long')
    headers = 0x200
    dos = b'MZ'.ljust(0x3C, b'\0') + struct.pack('<I', 0x40)
    coff = struct.pack('<HHIIIHH', 0x8664, 1, 0, 0, 0, 0xF0, 0x0022)
    optional = struct.pack(
        '<HBBIIIIIQIIHHHHHHIIIIHHQQQQII',
        0x20B, 0, 0, len(body), 0, 0, 0x1000, 0x1000,  # magic, linker, sizes, entry point, base of code
        0x400000, 0x1000, 0x200, 0, 0, 0, 0, 0, 0, 0,  # image base, alignments, versions
        0x1000 + 0x1000, headers, 0, 10, 0,  # size of image, of headers, checksum, EFI application
        0, 0, 0, 0, 0, 16,
    ) + b'\0' * 128  # fmt: skip
    section = struct.pack(
        '<8sIIIIIIHHI', b'.text', len(body), 0x1000, len(body), headers, 0, 0, 0, 0, 0x60000020
    )  # fmt: skip
    return (dos + b'PE\0\0' + coff + optional + section).ljust(headers, b'\0') + body


def fat(content: bytes, path: tuple[str, ...] = ('EFI', 'BOOT', 'BOOTX64.EFI'), size: int = 16 << 20) -> bytes:
    """A FAT16 file system with one file of at most a cluster (Microsoft's FAT specification 1.03)."""
    cluster, reserved, entries = 4 * SECTOR, 1, 512
    sectors = size // SECTOR
    table = (sectors // 4 * 2 + SECTOR - 1) // SECTOR
    if len(content) > cluster:
        raise ValueError('the file does not fit into a cluster')
    boot = struct.pack(
        '<3s8sHBHBHHBHHHII', b'\xeb\x3c\x90', b'SUBSTRCT', SECTOR, 4, reserved, 2, entries, sectors, 0xF8, table, 32, 2,
        0, 0,
    ) + struct.pack('<BBBI11s8s', 0x80, 0, 0x29, 0x12345678, b'RACK       ', b'FAT16   ')  # fmt: skip
    boot = boot.ljust(510, b'\0') + b'\x55\xaa'
    # Each folder and the file have one cluster: 2, 3, 4 ….
    chain = struct.pack('<HH', 0xFFF8, 0xFFFF) + b'\xff\xff' * len(path)
    fats = chain.ljust(table * SECTOR, b'\0') * 2

    def entry(name: str, number: int, length: int = 0) -> bytes:
        stem, _, ending = name.partition('.') if name.strip('.') else (name, '', '')
        short = f'{stem:<8}{ending:<3}'.encode('ascii')
        kind = 0x20 if length else 0x10
        return struct.pack('<11sBBBHHHHHHHI', short, kind, 0, 0, 0, 0, 0, 0, 0, 0, number, length)

    def holding(depth: int) -> bytes:
        """The entry of what stands at that depth."""
        last = depth == len(path) - 1
        return entry(path[depth], 2 + depth, len(content) if last else 0)

    root = holding(0).ljust(entries * 32, b'\0')
    data = b''
    for depth in range(1, len(path)):
        dots = entry('.', 1 + depth) + entry('..', depth if depth > 1 else 0)  # the root has no number
        data += (dots + holding(depth)).ljust(cluster, b'\0')
    data += content.ljust(cluster, b'\0')
    return (boot + fats + root + data).ljust(size, b'\0')
