"""The kernel's entry point: `python -m micro_agi_kernel -f CONNECTION_FILE`."""

from micro_agi_kernel.frontends.jupyter.app import main

if __name__ == "__main__":
    main()
