"""What has to happen when NetBox migrates.  There are no receivers here that act when objects are saved."""
