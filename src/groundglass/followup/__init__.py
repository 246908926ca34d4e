"""After the report: results read again, corrected by a reader, and compared over time."""
