"""Pages of subnets."""

__all__ = ()
