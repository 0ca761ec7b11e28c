"""What all studies start from: data, split, first weights and their checks, and messages about progress."""
