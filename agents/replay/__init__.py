"""What is remembered of acting: the replay buffer, priorities, and the streams that draw from them."""
