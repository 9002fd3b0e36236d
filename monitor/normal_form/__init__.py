"""Normal form of a response: one meaning of every provider's finish reason, and the answer without thoughts."""
