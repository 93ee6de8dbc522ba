"""What people say of the data: query lists and boxes."""
