"""Sources of recordings: one file each."""
