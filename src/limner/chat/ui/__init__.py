"""The chat window: a conversation drawn by Chainlit. Nobody imports `window` without the extra `chainlit`."""
