"""Filter sets of subnets."""

__all__ = ()
