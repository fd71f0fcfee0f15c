"""What may be contacted, and how its response is read.

Open `transport` first: it holds the pool and one exchange. `policy` decides what may be dialled, with the tables of
`addresses` and the grammar of `urls`. `dial` connects, over a `stream`, with the trust of `tls`. `http1` reads heads
without any I/O, and `body` what follows a head. `client` puts a caller's own client in the transport's place.
"""
