"""A small process beside the server that starts the programs of exec jobs and ends them.

A big server with threads should not fork, and a server that was killed with -9 can't clean up; this process
does both for it. It lives as long as its channel to the server: when that ends, it ends every program and
leaves.

    client      the server's side: starts the process, has it start and signal programs, learns how they ended
    pipes       the server's ends of a program's stdin, stdout and stderr
    messages    what the two say to each other, and the channel that carries it
    __main__    the process
    supervisor  its loop
    spawn       starting one program, or saying why it can't be started
    orphans     what a run left behind: finding whose it was, killing it
    marks       the marks by which the processes of a run are known
    hardening   what the launcher makes of itself, and so of its programs
    processes   looking at processes and killing them

The process imports none of the server's libraries and little of the standard one; a test holds that.
"""
