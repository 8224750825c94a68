"""DHCP: what NetBox knows of subnets and machines, kept in a DHCP server by one backend (Kea, ISC dhcpd or dnsmasq)."""
