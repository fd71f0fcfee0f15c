"""What senders and servers say of an attachment. Open `intake` first: there a source becomes an `Attachment`."""
