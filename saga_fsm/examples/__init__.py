"""
Sagas that are real enough to argue with, on worlds that can be audited.

Each module gives ``saga``, a ``World`` that the steps act on, ``INPUT`` to run it with, and
``consistent(world, outcome)``: does what happened agree with what the outcome says?
They use the public names only, so each can be copied out of the library and goes on working.
"""
