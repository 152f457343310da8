"""The client side of the wire: addresses, connections, and the pool that shares them."""
