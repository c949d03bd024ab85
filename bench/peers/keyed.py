"""Write the leads with the firm that was found for them, as a peer needs them that can not chain features."""

import sys

import duckdb

if __name__ == "__main__":
    spine, answer, out = sys.argv[1:]
    joined = f"select s.*, a.firm_id from '{spine}' as s join '{answer}' as a using (subject_id)"
    duckdb.execute(f"copy ({joined}) to '{out}' (format parquet)")
