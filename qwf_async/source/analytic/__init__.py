"""States of which ψ is known in closed form, at any time."""
