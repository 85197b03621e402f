"""Replay: the buffer, priorities, and the streams that draw from them."""
