"""The time for which a server has not answered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pipelines.errors import ClusterError

logger = logging.getLogger(__name__)


class Absence:
    """Begins with the first request that gets no answer, and ends with an answer.

    Args:
        url: URL of the server, for messages.
        give_up_after_s: seconds without an answer that end the run.
        clock: in seconds.
    """

    def __init__(
        self, url: str, give_up_after_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._give_up_after_s = give_up_after_s
        self._clock = clock
        self._since: float | None = None

    def begin(self, reason: str) -> None:
        """Note a request without an answer."""
        if self._since is None:
            self._since = self._clock()
            logger.warning("server_away url=%s reason=%s", self._url, reason)

    def end(self) -> None:
        """Note an answer."""
        if self._since is not None:
            self._since = None
            logger.warning("server_answers url=%s", self._url)

    def check(self) -> None:
        """Raise once the server has been away for too long.

        Raises:
            ClusterError: it has.
        """
        since = self._since
        if since is not None and self._clock() - since > self._give_up_after_s:
            raise ClusterError(
                f"{self._url}: the server has not answered for {self._give_up_after_s:g} s "
                "(stylize.placement_timeout_s); finished rows are recorded. Once it is up again, "
                "rerun the same command: it resumes"
            )
