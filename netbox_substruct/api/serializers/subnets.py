"""REST serializers of subnets."""

__all__ = ()
