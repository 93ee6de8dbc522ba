"""What the binaries call: each module is one of them. They know everything below."""
