"""REST serializers of zones."""

__all__ = ()
