"""A Docker daemon of the tests' own, the images on it, and the stacks made of them."""
