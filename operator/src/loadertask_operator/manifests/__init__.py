"""One pure builder per child object."""
