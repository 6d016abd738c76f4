SELECT run, step, chunk, account FROM imports WHERE source = $1
