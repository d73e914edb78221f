import select
import socket
import time

from reliability.serving import serving

CALL = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def test_a_new_connection_takes_the_place_of_the_one_idle_longest(artifacts):
    with serving(artifacts["text"], max_connections=20, header_s=30.0) as server:
        first, *silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(18)]
        answered(silent[-1])  # so all of them are accepted
        time.sleep(0.05)
        answered(first)
        late = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        answered(late)
        cut, _, _ = select.select([first, late, *silent], [], [], 20)
        assert len(cut) == 1
        assert cut[0] in silent
        assert cut[0].recv(1) == b""
        answered(first)
        for connection in (first, late, *silent):
            connection.close()


def answered(connection: socket.socket) -> None:
    """Ask, and get an answer."""
    connection.sendall(CALL)
    said = b""
    while not said.endswith(b"}"):  # head and body may come apart
        said += connection.recv(65536)
    assert said.startswith(b"HTTP/1.1 200 ")
