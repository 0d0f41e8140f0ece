"""HTTP behind a guard: what a tool wants is checked, asked of the policies, and sent by `guarded.GuardedHttp`."""
