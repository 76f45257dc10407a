"""What a point will take, before it starts: memory, minutes, bytes. No torch: architectures are read as JSON."""
