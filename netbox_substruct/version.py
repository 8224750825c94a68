"""The version of both distributions (netbox-substruct and substruct-sidecar)."""

__version__ = '0.1.0'
