import select
import socket

from reliability.serving import serving


def test_a_new_connection_takes_the_place_of_the_one_idle_longest(artifacts):
    with serving(artifacts["text"], max_connections=20, header_s=30.0) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(18)]
        silent[0].sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert silent[0].recv(65536).startswith(b"HTTP/1.1 200 ")  # it has been idle for less time than the others
        late = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        late.sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert late.recv(65536).startswith(b"HTTP/1.1 200 ")
        cut, _, _ = select.select(silent, [], [], 20)
        assert len(cut) == 1
        assert cut[0] is not silent[0]
        assert cut[0].recv(1) == b""
        silent[0].sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert silent[0].recv(65536).startswith(b"HTTP/1.1 200 ")
        for connection in (*silent, late):
            connection.close()
