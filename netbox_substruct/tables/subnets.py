"""Tables of subnets."""

__all__ = ()
