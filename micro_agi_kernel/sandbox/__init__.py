"""Where Lua that a model wrote runs: one jailed process per call. `pool.JailedSandbox` is the way in."""
