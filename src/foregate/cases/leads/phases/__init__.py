"""The twelve phases of a lead-scoring version, one module each: what it measures and the gates that judge it."""
