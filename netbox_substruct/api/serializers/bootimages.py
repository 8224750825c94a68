"""REST serializers of boot images."""

__all__ = ()
