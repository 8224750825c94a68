"""REST serializers of discovery rules."""

__all__ = ()
