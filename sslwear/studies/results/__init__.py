"""What is shown of a study: its verdict, comparisons with other studies, and its pages."""
