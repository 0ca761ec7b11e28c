"""The search: which trials are proposed, how they run, when they end, and the test of the winner."""
