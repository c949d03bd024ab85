"""The nouns: evidence, gate, phase, event, and the folds over events. Standard library, no I/O."""
