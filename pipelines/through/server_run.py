"""A run through a server: the check at its start, and its pool."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http import HTTPStatus

from pipelines.config.schema import RunConfig
from pipelines.dispatch.tasks import DispatchPolicy
from pipelines.errors import ClusterError, ConfigError
from pipelines.handling import Destination
from pipelines.through.agreement import check_agreement
from pipelines.through.link import AwayError, Link, RefusedError
from pipelines.through.pool import ServerPool
from pipelines.through.wire import ServerFacts
from pipelines.worker.spec import StylizerSpec

_OLD = "is there a `uso serve` of this version?"


@dataclass(frozen=True, slots=True)
class ThroughServer:
    """A server that a run may use.

    Attributes:
        link: the connection.
        facts: facts of the server.
    """

    link: Link
    facts: ServerFacts

    @classmethod
    def connect(cls, url: str, config: RunConfig) -> ThroughServer:
        """Ask a server whether it generates what a run asks for. The key is in `USO_API_KEY`.

        Raises:
            ConfigError: the key is not accepted, or the server has another configuration.
            ClusterError: the server does not answer.
        """
        if config.best_of is not None:
            raise ConfigError(
                f"--through {url}: best_of draws further tries with actors of the run's own; leave "
                "best_of out, or run without --through"
            )
        if config.output.provenance.c2pa:
            raise ConfigError(
                f"--through {url}: a server signs no images; leave output.provenance.c2pa out, or "
                "run without --through"
            )
        if config.on_end.replay_sample:
            raise ConfigError(
                f"--through {url}: on_end.replay_sample needs actors of the run's own; leave it "
                "out, or run without --through. uso replay OUTPUT --sample N draws rows again later"
            )
        link = Link.from_environment(url)
        with ExitStack() as stack:
            stack.callback(link.close)
            facts = _facts(link)
            check_agreement(config, facts, link.url)
            stack.pop_all()
        return cls(link, facts)

    def adapted(self, config: RunConfig) -> RunConfig:
        """Return the configuration of a run with the actors of the server."""
        stylize = config.stylize.model_copy(update={"actors": self.facts.actors})
        return config.model_copy(update={"stylize": stylize})

    def policy(self, policy: DispatchPolicy) -> DispatchPolicy:
        """Return the policy of a run, whose rows also wait at the server."""
        return replace(
            policy, rows_in_flight=self.facts.rows_per_actor, row_timeout_s=math.inf, batch_images=1
        )

    def pool(self, spec: StylizerSpec, fingerprint: str, give_up_after_s: float) -> ServerPool:
        """Announce a run, and return its pool.

        Args:
            spec: the workers that the run would have.
            fingerprint: fingerprint of the run's model.
            give_up_after_s: seconds without an answer that end the run.

        Raises:
            ClusterError: the server refuses the run, or is away.
        """
        if fingerprint != self.facts.fingerprint:
            raise ClusterError(
                f"--through {self.link.url}: the model of the server has other weights than "
                "model.base and its parts have now; restart the server"
            )
        assert spec.output is not None
        assert spec.run_id is not None
        destination = Destination(
            path=spec.output.path,
            run_id=spec.run_id,
            creates=spec.creates,
            give_up_after_s=spec.output.give_up_after_s,
            encoding=spec.encoding,
            recipe_model=spec.recipe_model,
        )
        return ServerPool(self.link, destination, self.facts.actors, give_up_after_s)


def _facts(link: Link) -> ServerFacts:
    try:
        return link.facts()
    except AwayError as error:
        raise ClusterError(
            f"--through {link.url}: the server does not answer ({error}); start it with "
            "`uso serve`, or try again"
        ) from error
    except RefusedError as error:
        hint = f"; {_OLD}" if error.status == HTTPStatus.NOT_FOUND else ""
        raise ConfigError(f"--through {link.url}: {error}{hint}") from error
