"""What is right: pure functions over values, told the time and the numbers by whoever asks."""
