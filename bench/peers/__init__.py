"""The same features, computed by others: each peer is a program of its own that reads the same Parquet files."""
