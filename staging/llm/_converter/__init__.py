"""Read one hostile file, in a program that imports nothing else of the library.

Theory of operation. The parent (`staging.llm._process`) gives a task, its options and an open file. `tasks` names the
reader of every task and the libraries that it needs. `bounds` limits what the process may use. The reader tells what it
finds to an `output.Output`, which frames it for the parent. A frame holds text, a remark or data. A refusal is told by
its key, so that no word of a hostile file ever becomes a message. Values are named tuples, as to import `dataclasses`
costs more than to read a small file. To add a reader, write ``read(source, out,
**options)`` in a module here and name it in `tasks.TASKS`.
"""
