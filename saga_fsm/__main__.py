"""``python -m saga_fsm`` is ``saga-fsm``."""

from saga_fsm.cli import main


if __name__ == "__main__":
    main()
