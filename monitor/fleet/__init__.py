"""Read model over the whole deployment: what all workers have published, in bounded memory."""
