"""What a phone loads."""
