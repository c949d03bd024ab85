"""The phases of a funnel version, one file each, named as the lifecycle names them."""
