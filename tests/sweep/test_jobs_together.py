"""Jobs that go together: one answer for each, and each by itself after a loss."""

from __future__ import annotations

import pickle

from tunesweep.sweep.jobs import Job, Jobs, Loss, Referee, Together, together

KILLED = Loss("lost", "its worker was ended by SIGKILL", "")


class Told(Referee):
    """Says what it was told to say, by the number of a job."""

    def __init__(self, busy: set[int] | None = None, settled: set[int] | None = None) -> None:
        self.held, self.done = busy or set(), settled or set()
        self.partings = 0

    def busy(self, job: Job) -> bool:
        return job.number in self.held

    def settled(self, job: Job) -> bool:
        return job.number in self.done

    def refused(self, job: Job, answer: object) -> bool:
        return answer == "busy"

    def parted(self, job: Job, loss: Loss) -> None:
        self.partings += 1


def three(referee: Referee) -> Jobs:
    return Jobs([together([Job(number, bytes([number])) for number in range(3)])], referee)


def payloads(job: Job | None) -> tuple[bytes, ...]:
    assert job is not None
    found = pickle.loads(job.payload)
    assert isinstance(found, Together)
    return found.payloads


def test_a_worker_gets_all_payloads_and_answers_each() -> None:
    jobs = three(Referee())
    job = jobs.next()
    assert payloads(job) == (b"\0", b"\1", b"\2")
    assert job is not None
    jobs.answered(job, ["a", "b", "c"])
    assert jobs.answers == {0: "a", 1: "b", 2: "c"}
    assert not jobs.left


def test_what_is_held_elsewhere_waits_and_what_is_done_is_left_out() -> None:
    referee = Told(busy={0})
    jobs = three(referee)
    assert payloads(jobs.next()) == (b"\1", b"\2")
    assert jobs.next() is None
    referee.held.clear()
    alone = jobs.next()
    assert alone is not None
    assert (alone.number, alone.payload) == (0, b"\0")
    one = three(Told(settled={0, 2})).next()
    assert one is not None
    assert (one.number, one.payload, one.parts) == (1, b"\1", ())


def test_one_that_was_claimed_meanwhile_waits_alone() -> None:
    jobs = three(Told())
    job = jobs.next()
    assert job is not None
    jobs.answered(job, ["a", "busy", "c"])
    assert jobs.answers == {0: "a", 2: "c"}
    again = jobs.next()
    assert again is not None
    assert (again.number, again.parts) == (1, ())


def test_after_a_loss_each_is_tried_alone() -> None:
    referee = Told()
    jobs = three(referee)
    job = jobs.next()
    assert job is not None
    jobs.lost(job, KILLED)
    assert referee.partings == 1
    assert jobs.losses == {}
    found = [jobs.next() for _ in range(3)]
    assert [each and (each.number, each.parts) for each in found] == [(0, ()), (1, ()), (2, ())]
    assert jobs.next() is None
