"""Small raw files in the exact format of each source: one module a source, with a function `write(folder)`."""
