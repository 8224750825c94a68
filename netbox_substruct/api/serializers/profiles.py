"""REST serializers of profiles and their templates."""

__all__ = ()
