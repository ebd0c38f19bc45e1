"""Moving jobs in: a whole store into another database, and the table of the first Queue Server.

move.py          from store to store, table by table
first_rows.py    a row of the first server's table, and its status
first_jobs.py    what job such a row is
first_server.py  taking over such a table, page by page
"""
