"""What a person or a program may ask of the server, free of HTTP and of the command line."""
