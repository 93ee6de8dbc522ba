"""What a user adds without touching the library: a file for each row of CONTRIBUTING's table."""
