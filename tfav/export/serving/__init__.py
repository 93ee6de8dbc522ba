"""What a server loads."""
