"""What senders and servers say of an attachment, and what its bytes say.

Open `intake` first. There a source becomes an `Attachment`. `media` observes a type from bytes, `contradictions` holds
a claim against it, and `filenames` makes one safe path component of any claimed name.
"""
