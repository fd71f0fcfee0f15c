"""Where attachments are on disk, and how they are removed.

Open `workspace` first: it is the private directory of one stage. `root` is where workspaces are made, `lease` says that
one of them is alive, and `part` fills it. `removal` empties it, `sweep` removes those whose owner died, and `moving`
gives a file its name or takes it elsewhere.
"""
