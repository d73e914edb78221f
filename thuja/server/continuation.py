"""A text that grows, cut where the client wants it to stop."""

from collections.abc import Sequence


class Continuation:
    """One answer as it is made. What may be the beginning of a stop text is held back until it is known, so that nobody ever sees a part of one."""

    def __init__(self, stop: Sequence[str]) -> None:
        self.text = ""
        """Everything so far, up to a stop text."""
        self.stopped = False
        """Whether a stop text was met."""
        self._stop = stop
        self._longest = max(map(len, stop), default=0)
        self._shown = 0

    def grow(self, text: str, last: bool = False) -> str:
        """Take the whole text so far, `last` when no more will come; gives what can be shown of it beyond what was shown before.

        >>> answer = Continuation(["\\n\\n"])
        >>> answer.grow("One"), answer.grow("One\\n"), answer.grow("One\\nTwo"), answer.grow("One\\nTwo\\n\\nThree"), answer.text
        ('One', '', '\\nTwo', '', 'One\\nTwo')
        """
        if self.stopped:
            return ""
        first = max(0, len(self.text) - self._longest + 1)  # what begins before lies in what was looked at already
        places = [place for stop in self._stop if (place := text.find(stop, first)) >= 0]
        self.text, self.stopped = text[: min(places)] if places else text, bool(places)
        safe = len(self.text) if last or self.stopped else len(self.text) - self._open()
        shown, self._shown = self.text[self._shown : safe], max(self._shown, safe)
        return shown

    def _open(self) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        return max((size for stop in self._stop for size in range(1, len(stop)) if self.text.endswith(stop[:size])), default=0)
