"""`python -m micro_agi_kernel.frontends.cli`: the command by its interpreter, wherever `micro-agi` lies."""

from micro_agi_kernel.frontends.cli.main import main

if __name__ == "__main__":
    main(prog_name="micro-agi")
