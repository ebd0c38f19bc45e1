"""What a person or a program may ask of the server, free of HTTP and of the command line.

add.py      accepting jobs
look.py     seeing how things stand
wait.py     waiting for an end
manage.py   changing one job that exists
many.py     the same for all jobs of a filter
output.py   reading and following outputs
explain.py  why a job is where it is
policy.py   what the settings allow
binding.py  what the token of who asks allows, and what it sees
tokens.py   API tokens: making and ending them, and who shows one
target_limits.py  where the jobs of a token may go
"""
