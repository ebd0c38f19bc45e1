"""Finding the jobs of a filter in any SQL database.

finding.py    a page of a list, within a bounded number of rows, as a generator of queries
driving.py    carrying it out on a connection that blocks, or on one that is awaited
walks.py      the ways to the jobs: indexes, their ranges, and what is left to check
spans.py      parts of ordered lists
dialect.py    what databases write differently
fragments.py  pieces of SQL with the values they bind
"""
