"""Push: the receiver of notices, and the channels and subscriptions that bring them."""
