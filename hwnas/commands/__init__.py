"""The command line's own room: what its commands share, and the commands that need no device.

``cli`` puts the program together from it. This room is the highest of ``hwnas`` and the only one that knows how a
terminal is read and written; nothing imports it but ``cli``. It never imports ``profilers``: where a command needs a
device, ``cli`` opens it.

Contents:
    adapting: ``hwnas predictor choose`` and ``adapt``.
    benching: ``hwnas bench``.
    comparing: ``hwnas compare``.
    devices: several devices in one search.
    endings: errors as one message and an exit status.
    executors: options about where trials run, are kept, and begin.
    export_options: options of ``hwnas export`` and ``hwnas verify``.
    exporting: what ``hwnas export`` needs no device for.
    options: options that several commands share, and how their texts are read.
    predictions: what the commands that predict, or judge predictions, share and say.
    previews: what limits leave of a space, before a search.
    printing: results as JSON, or as texts and tables.
    profile_words: what ``hwnas profile`` and ``hwnas doctor`` say.
    progress: what is shown while a command runs.
    reporting: ``hwnas report``.
    search_progress: what is shown while a search or an export runs.
    systems: ``hwnas systems``.
    table_words: what ``hwnas table`` says.
    tables: ``hwnas table``.
    verifying: what ``hwnas verify`` needs no device for.
    winners: exports of a search's winners, and its front.
"""
