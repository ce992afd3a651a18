#!/usr/bin/env python3
"""A name server that knows no name, at the addresses that it is given: where nothing outside can be
reached, engines ask for names all the same, and without an answer they wait for many seconds."""

import socket
import sys
import threading


def serve(listener):
    while True:
        asked, by = listener.recvfrom(4096)
        # The question comes back, with "there is no such name" (RFC 1035, section 4.1.1).
        end = asked.find(b"\0", 12) + 5
        listener.sendto(asked[:2] + b"\x81\x83\0\1" + bytes(6) + asked[12:end], by)


for address in sys.argv[1:]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # Each by itself, so that an answer comes from the address that was asked.
    listener.bind((address, 53))
    threading.Thread(target=serve, args=[listener]).start()
