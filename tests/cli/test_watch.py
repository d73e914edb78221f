"""`thuja watch` as it is typed."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import urllib.request

import click
import pytest
import shops
from shell import thuja
from shops import begin

from thuja.cli.watch import CLEAR, Period, Screen
from thuja.life.board import board
from thuja.verbs.watch import Turn


def test_once(tmp_path):
    begin(tmp_path / "shop")
    said = thuja("watch", tmp_path / "shop", "--once")
    assert said.code == 0 and said.out.startswith("shop, as of ") and "\x1b" not in said.out
    assert "Make one with `thuja deploy" in thuja("watch", tmp_path / "nothing", "--once").err


def test_a_time_is_a_number_with_a_unit():
    period = Period()
    assert [period.convert(text, None, None) for text in ("30s", "5m", "1h", "90", 7.0)] == [30, 300, 3600, 90, 7]
    for text in ("0s", "soon", "-5m", "nan", "1d", ""):
        with pytest.raises(click.BadParameter):
            period.convert(text, None, None)


def test_elsewhere_than_on_a_terminal_only_news_follow_the_page(tmp_path, capsys):
    deployment = begin(tmp_path / "shop")
    screen = Screen("http://127.0.0.1:1")
    screen.show(Turn(board(deployment), ""))
    first = capsys.readouterr().out
    assert "Vital signs" in first and "Dashboard: http://127.0.0.1:1/life" in first
    screen.show(Turn(board(deployment), "the disk is full"))
    assert capsys.readouterr() == ("", "Not done this time: the disk is full\n")
    shops.say(deployment, "drill", by="ada", words="rolled back in 0.2 s")
    screen.show(Turn(board(deployment), ""))
    assert capsys.readouterr().out == "2023-11-14 00:00  · Drill: rolled back in 0.2 s. By ada.\n"


@pytest.mark.parametrize(("colour", "green"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_on_a_terminal_the_page_is_drawn_over_in_colour(tmp_path, colour, green):
    begin(tmp_path / "shop")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 120, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | colour
    command = [sys.executable, "-m", "thuja", "watch", str(tmp_path / "shop"), "--once"]
    running = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    out = b""
    with contextlib.suppress(OSError):  # what Linux says when the other end is closed
        while part := os.read(ours, 4096):
            out += part
    os.close(ours)
    assert running.wait(60) == 0
    text = out.decode()
    assert text.startswith(CLEAR) and ("\x1b[32m" in text) == green
    assert "Vital signs" in text and "History" in text


def test_it_serves_until_it_is_interrupted(tmp_path):
    begin(tmp_path / "shop")
    running = subprocess.Popen([sys.executable, "-m", "thuja", "watch", str(tmp_path / "shop"), "--serve", "--port", "0"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
    try:
        line = running.stderr.readline()
        address = re.search(r"http://\S+", line)[0]
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.status == 200 and b"Vital signs" in answer.read()
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0 and "Traceback" not in running.stderr.read()
    finally:
        running.kill()
        running.communicate()
