"""The networks of both papers, and their losses, in torch."""
