"""The prospector: the small Linux that a machine boots into to say what it is, and to be written, wiped or rescued.

`recipe`, `packages`, `sysroot`, `modules`, `cpio` and `build` make its kernel and initramfs on a boot server.  `inside`
is what runs in it, on the machine, with nothing but the standard library of the image's own (older) Python.
"""
