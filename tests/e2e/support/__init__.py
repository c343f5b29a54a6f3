"""What the tests share: the stack, clients that are not ours, waiting."""
