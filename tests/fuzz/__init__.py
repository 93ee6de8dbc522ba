"""Readers of files, fed with damaged ones by the thousand: `python -m tests.fuzz --help`.

Valid files are changed by seeded mutations. A reader may use what it is given, or refuse it in one
sentence (`UserError`, `BadFile` of media, `InvalidArgumentError` of a served signature). Anything
else is a finding: another error, a process that ends, a second of computing, memory over the limit.
"""
