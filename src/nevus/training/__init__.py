"""One readable training loop, and what it reads and writes."""
