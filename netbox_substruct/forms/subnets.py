"""Forms of subnets."""

__all__ = ()
