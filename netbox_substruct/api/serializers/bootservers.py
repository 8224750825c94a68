"""REST serializers of boot servers."""

__all__ = ()
