"""Contract suites of plug-ins, for the tests of packages that have some; they need pytest."""
