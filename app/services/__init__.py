"""What is done: a verb each, one transaction each."""
