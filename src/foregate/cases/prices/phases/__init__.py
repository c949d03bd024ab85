"""The phases of a price version, one file each, named as the lifecycle names them."""
