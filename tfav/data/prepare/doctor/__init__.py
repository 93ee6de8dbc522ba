"""What a training would make of files: measures of each row, and what they say about all."""
