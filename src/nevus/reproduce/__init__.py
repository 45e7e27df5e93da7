"""The two papers' tables: what was published, and what is found here."""
