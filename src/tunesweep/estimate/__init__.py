"""What a point will take, before it starts: memory, minutes, bytes; architectures are read as JSON."""
