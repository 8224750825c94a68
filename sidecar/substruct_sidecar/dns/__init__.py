"""DNS: the records of the zones that NetBox gives to this boot server, kept by one backend for each update method."""
