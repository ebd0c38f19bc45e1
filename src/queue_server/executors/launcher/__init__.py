"""A small process beside the server that starts the programs of exec jobs and ends them.

A big server with threads should not fork, and a server that was killed with -9 can't clean up; this process does
both for it. It lives as long as its socket to the server: when that ends, it ends every program and exits.

    client      the server's side: starts the process, asks it to start and signal programs, learns how they ended
    pipes       the server's ends of a program's stdin, stdout and stderr
    messages    what the two say to each other, and the channel that carries it
    supervisor  the process's loop
    spawn       starting one program, or saying why it can't be started
    orphans     finding and killing what a run left behind

The process imports this package, `messages`, `supervisor`, `spawn` and `orphans`, and of the standard library only
what starts fast; a test holds that.
"""
