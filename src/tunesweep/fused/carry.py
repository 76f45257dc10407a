"""A group of points from its beginning to their records: training together, everything else run by run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from tunesweep import brake, features, stages
from tunesweep.attempt import attempt, failure_class, failure_of
from tunesweep.capabilities import learns_from_features
from tunesweep.config import WORKER, RunConfig
from tunesweep.errors import EarlyExit
from tunesweep.fused.asking import OnePass
from tunesweep.fused.member import Member
from tunesweep.fused.probe import costs_of
from tunesweep.fused.training import learn
from tunesweep.fused.twins import Shelf
from tunesweep.headroom import release
from tunesweep.identity import digest
from tunesweep.integrity import HashedOnce, hash_of
from tunesweep.models.readouts import Readout
from tunesweep.record import RunRecord, draft, settled
from tunesweep.scoring import score
from tunesweep.silence import quiet_libraries
from tunesweep.stages import Workplace
from tunesweep.store import Busy, Store
from tunesweep.tasks.task import Scored

handed_over: dict[str, RunRecord] = {}  # by run id: what `run` takes instead of carrying the point out
dissolved: dict[str, str] = {}  # by run id: why its group came to nothing, for the record of the run alone


class GroupPlace(Workplace):
    """The workplace of a run in a group: its first network is a twin, and the group's time is not its own."""

    def __init__(self, config: RunConfig, store: Store, shelf: Shelf, group: list[str]) -> None:
        super().__init__(config, store, draft(config))
        # Who left a group, and when, is of one early_exit: what another left is no beginning.
        left = [] if config.runtime.early_exit is None else [config.runtime.early_exit]
        self.shelf, self.group, self.size = shelf, digest([*sorted(group), *left]), len(group)
        self.reached_training, self.training_minutes = True, 0.0

    def first_network(self) -> Readout:
        """Return a network around the tensors that the group shares."""
        return self.shelf.network(self.config, self.new_network)

    def score(self, network: Readout) -> Scored:
        """Score the test split together with the others; alone where memory does not suffice for that."""
        try:
            return self.task.evaluate(network, self.ask)
        except Exception as error:
            if failure_class(error) != "out_of_memory":
                raise
        self.ask = score
        return super().score(network)

    def note_cost(self) -> None:
        """Say what the group took, under a name that no table takes for the run's own."""
        minutes = {"minutes": _minutes(self.began), "training_minutes": self.training_minutes}
        self.record.cost["group"] = {"runs": self.size, **minutes}

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Do the last things in here, and leave as the context of `Workplace` is left."""
        try:
            yield
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        self.__exit__(None, None, None)


def carry_out(configs: Sequence[RunConfig]) -> None:
    """Carry out together those of these points that nobody else has, and hand their records over to `run`.

    Where the group comes to nothing, as when memory runs out, nothing is handed over, and each point is
    carried out alone. Ctrl-C leaves a record of every run, and is raised again.
    """
    try:
        _carry_out(configs, Store(configs[0].runtime.store))
    except Exception as error:
        _dissolve(configs, error)
    release()


def _carry_out(configs: Sequence[RunConfig], store: Store) -> None:
    with _claimed(configs, store) as mine, quiet_libraries():
        if len(mine) < 2:
            return
        for config in mine:
            config.runtime.point.executor = f"fused({len(mine)})"
        handed_over.update(_records(mine, store))


@contextmanager
def _claimed(configs: Sequence[RunConfig], store: Store) -> Iterator[list[RunConfig]]:
    """Hold the points that are free and still to do."""
    with ExitStack() as held:
        mine = []
        for config in configs:
            run_id = config.runtime.point.run_id
            try:
                held.enter_context(store.claim(run_id, wait=False))
            except Busy:
                continue
            if not settled(store.get(run_id), config) and brake.not_started(config, store) is None:
                mine.append(config)
        yield mine


def _dissolve(configs: Sequence[RunConfig], error: Exception) -> None:
    kind, sentence = failure_of(error)
    for config in configs:
        config.runtime.point.executor = WORKER
        dissolved[config.runtime.point.run_id] = (
            f"its group of {len(configs)} came to nothing ({kind}: {sentence}), so it was carried out alone"
        )


def _records(configs: Sequence[RunConfig], store: Store) -> dict[str, RunRecord]:
    """Train together, then let each run score, check and save, and put its record."""
    shelf = Shelf()
    ids = [config.runtime.point.run_id for config in configs]
    works = [GroupPlace(config, store, shelf, ids) for config in configs]
    try:
        members = _trained(works, shelf)
        for member in members:
            _score(member)
            # The others' networks are not held any longer than needed.
            member.work.ask, member.work.hashed = score, hash_of
    except BaseException as error:
        if failure_of(error)[0] == "interrupted":
            _stop(works, error)
        raise
    shelf.clear()  # checks load the backbone anew, and the shared one makes room
    release()
    # Who stayed comes first: where it ends here, the rest is not halved again.
    return {
        member.work.run_id: _record(member) for member in sorted(members, key=lambda m: m.error is not None)
    }


def _trained(works: Sequence[GroupPlace], shelf: Shelf) -> list[Member]:
    members, hashed = [], HashedOnce()
    for work in works:
        work.hashed = hashed
        work.take_up()
        stages.prepare(work)
        stages.load_data(work)
        stages.load_network(work)
        members.append(Member(work))
    for work, cost in zip(works, costs_of(works), strict=True):
        work.record.cost |= cost
    if all(learns_from_features(work.config) for work in works):
        _learn_from_features(works)
    began = time.perf_counter()
    one_pass, hashed = OnePass(learn(members, shelf.frame)), HashedOnce()
    for run, work in enumerate(works):
        work.training_minutes = _minutes(began)
        work.ask, work.hashed = one_pass.of_run(run), hashed
    return members


def _minutes(began: float) -> float:
    return (time.perf_counter() - began) / 60


def _learn_from_features(works: Sequence[GroupPlace]) -> None:
    """Read every example once for all of them; a probed epoch costs what it would if each read them once."""
    for work in works:
        if features.learn_from_features(work) and "probed" in work.record.cost:
            epochs = int(work.config.train.epochs or 1)
            work.record.cost["minutes_per_epoch"] /= epochs
            work.record.cost["tokens_per_s"] *= epochs


def _score(member: Member) -> None:
    """Do what needs the trained network, and let it go."""
    work = member.work
    if member.error is None or isinstance(member.error, EarlyExit):
        stages.note_training(work.record, member.course.history, member.best.epoch)
        work.record.cost["epochs"] = len(member.course.history)
    if member.error is None:
        try:
            stages.evaluate(work)
            stages.check_network(work)
            stages.save(work)
        except Exception as error:
            member.error = error


def _record(member: Member) -> RunRecord:
    """Check what was saved, keep it, and put the record; or put the record of the failure."""
    work = member.work
    return attempt(work.config, work.store, partial(_finish, member), work.record)


def _finish(member: Member, _: RunRecord) -> None:
    assert isinstance(member.work, GroupPlace)
    with member.work.leaving():
        if member.error is not None:
            raise member.error
        stages.check_artefact(member.work)
        stages.keep(member.work)


def _stop(works: Sequence[GroupPlace], error: BaseException) -> None:
    """Put a record of every run that was interrupted; then the interruption goes on."""
    for work in works:
        with suppress(KeyboardInterrupt):
            attempt(work.config, work.store, partial(_raise, work, error), work.record)
    raise KeyboardInterrupt(str(error)) from None


def _raise(work: GroupPlace, error: BaseException, _: RunRecord) -> None:
    with work.leaving():
        raise error
