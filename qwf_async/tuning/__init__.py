"""Which settings load a grid fastest on a server without hurting others, and how many jobs at once are worth it."""
