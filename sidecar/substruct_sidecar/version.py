"""The version of the sidecar.  It equals the plugin's (netbox_substruct/version.py), and a test holds the two equal."""

__version__ = '0.1.0'
