"""The boot service: what machines talk to while they boot, over TFTP and HTTP."""
