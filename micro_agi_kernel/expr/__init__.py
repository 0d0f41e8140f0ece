"""expr: the expression language expr-lang 1.17, for policies and the Lua module `expr`."""
