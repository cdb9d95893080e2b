"""The platform's services, each at an origin of its own."""
