"""REST view sets of subnets."""

__all__ = ()
