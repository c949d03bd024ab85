"""The benchmark room: Foregate against what people write by hand, with the losses published too."""
