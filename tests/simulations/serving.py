"""The serving graph as discrete events: ingress replicas that coalesce, stages with replicas, cores, clients, faults.

What deployments/microbatch.py and Ray Serve's router do, by the same rules: a stage's batcher sends what waits, up to
`max_items`, as long as fewer than `max_in_flight` calls of that ingress are out; the router asks two replicas at random
and takes the one with less to do; a replica computes one call at a time; a call that is lost is sent once more; an item
whose deadline passed leaves the queue; above `max_requests` in an ingress the answer is 503.

A plain heap and no library for simulations: a process of simpy resumes a generator an event, and 10^4 requests/s for
minutes are tens of millions of events. All times are seconds.
"""

from __future__ import annotations

import gc
import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Routing = Literal["two", "random", "least"]


@dataclass(frozen=True)
class StageModel:
    """A stage: `items` a request sends to it, and a call that takes fixed_s + items * item_s on one replica.

    `share` of the requests ask it, the others go past. `spread` is the coefficient of variation of a call's time: 0 is
    constant, 1 exponential, else gamma. An answer takes `delay_s` more that keep no replica busy, as a disk does.
    `remote`: called through Serve, which costs both sides; else nothing is spent but the call itself.
    """

    name: str
    replicas: int
    fixed_s: float
    item_s: float
    items: int = 1
    max_items: int = 64
    max_in_flight: int = 1
    max_waiting: int = 2048
    deadline_s: float = math.inf
    spread: float = 0.0
    share: float = 1.0
    delay_s: float = 0.0
    remote: bool = True


@dataclass(frozen=True)
class IngressModel:
    """Ingress replicas, each one loop: seconds of it for a request that comes in, one that goes out, and a call.

    `call_s` is spent by the ingress when a call is sent and again when its answer comes, `remote_s` by the replica.
    """

    replicas: int = 1
    in_s: float = 0.0
    out_s: float = 0.0
    call_s: float = 0.0
    remote_s: float = 0.0
    wire_s: float = 0.0
    max_requests: float = math.inf


@dataclass(frozen=True)
class Scaling:
    """Ray Serve's autoscaler for one stage: replicas = calls under way, averaged over look_back_s / target.

    Where that is above what there is for `upscale_delay_s` without a break, replicas start, ready after `cold_s`.
    """

    stage: str
    target: float
    most: int
    look_back_s: float = 30.0
    upscale_delay_s: float = 10.0
    every_s: float = 1.0
    cold_s: float = 20.0


@dataclass(frozen=True)
class Loss:
    """A share of all replicas, of the ingress too, that is gone from `at` until `back` (for good: inf).

    Whoever calls one of them learns of it only after `notice_s`, and until then waits; 0 is a process that was killed,
    whose connections break at once. The lost are the first ones: they stand for a node, a zone or a region.
    """

    share: float
    at: float
    back: float = math.inf
    notice_s: float = 0.0
    ingress: bool = True


@dataclass
class Seen:
    """What a run saw, a request a row; `late` were answered without one of their parts, `failed` not at all."""

    began: np.ndarray
    took: np.ndarray
    outcome: np.ndarray  # 0 answered, 1 degraded, 2 refused (503), 3 failed
    busy: dict[str, float]
    batch: dict[str, float]
    seconds: float
    replicas: list[tuple[float, int]] = field(default_factory=list)

    def percentile(self, share: float, since: float = 0.0, until: float = math.inf) -> float:
        """Seconds that a share of the answered requests took at most, of those that began in [since, until)."""
        chosen = (self.began >= since) & (self.began < until) & (self.outcome < 2)
        return float(np.percentile(self.took[chosen], 100 * share)) if chosen.any() else math.nan

    def share(self, outcomes: Sequence[int], since: float = 0.0, until: float = math.inf) -> float:
        """The share of requests with these outcomes, of those that began in [since, until)."""
        chosen = (self.began >= since) & (self.began < until)
        return float(np.isin(self.outcome[chosen], outcomes).mean()) if chosen.any() else math.nan


class _Process:
    """One thread that computes one job at a time; None as its cores: it has one to itself."""

    __slots__ = ("busy_s", "cores", "group", "jobs", "running")

    def __init__(self, cores: _Cores | None, group: str) -> None:
        self.jobs: deque[tuple[float, Callable[..., None], object]] = deque()
        self.running = False
        self.cores = cores
        self.busy_s = 0.0
        self.group = group


class _Cores:
    """Cores that several processes share: whoever wants to compute waits in line for one."""

    __slots__ = ("free", "waiting")

    def __init__(self, count: int) -> None:
        self.free = count
        self.waiting: deque[_Process] = deque()


class _Batcher:
    """The queue of one ingress for one stage."""

    __slots__ = ("in_flight", "ingress", "stage", "timed", "waiting")

    def __init__(self, ingress: _Ingress, stage: _Stage) -> None:
        self.ingress = ingress
        self.stage = stage
        self.waiting: deque[_Item] = deque()
        self.timed: deque[_Item] = deque()
        self.in_flight = 0


class _Ingress:
    __slots__ = ("batchers", "ongoing", "process")

    def __init__(self, process: _Process) -> None:
        self.process = process
        self.ongoing: set[_Request] | None = set()
        self.batchers: list[_Batcher] = []


class _Replica:
    __slots__ = ("calls", "gone", "ongoing", "process")

    def __init__(self, process: _Process) -> None:
        self.process = process
        self.ongoing = 0
        self.calls: set[_Call] = set()
        self.gone = False


class _Stage:
    def __init__(self, model: StageModel) -> None:
        self.model = model
        self.replicas: list[_Replica] = []
        self.known: list[_Replica] = []
        self.calls = 0
        self.items = 0
        self.under_way = 0


class _Request:
    __slots__ = ("began", "client", "degraded", "done", "ingress", "missing", "number", "step")

    def __init__(self, number: int, began: float, ingress: _Ingress, client: _Process | None) -> None:
        self.number = number
        self.began = began
        self.ingress = ingress
        self.step = 0
        self.missing = 0
        self.degraded = False
        self.done = False
        self.client = client


class _Item:
    __slots__ = ("deadline", "request", "settled")

    def __init__(self, request: _Request, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.settled = False


class _Call:
    __slots__ = ("batcher", "items", "over", "repeated", "replica")

    def __init__(self, batcher: _Batcher, items: list[_Item], repeated: bool) -> None:
        self.batcher = batcher
        self.items = items
        self.repeated = repeated
        self.replica: _Replica | None = None
        self.over = False


class Cluster:
    """One cluster; `steps` names the stages of a request, those of one step side by side."""

    def __init__(
        self,
        ingress: IngressModel,
        stages: Sequence[StageModel],
        steps: Sequence[Sequence[str]],
        *,
        seed: int,
        routing: Routing = "two",
        cores: int | None = None,
        client_s: float = 0.0,
        scaling: Sequence[Scaling] = (),
        losses: Sequence[Loss] = (),
    ) -> None:
        """`cores`: all processes share so many, the clients too; None gives a core to each."""
        self.model = ingress
        self.routing = routing
        self.random = random.Random(seed)
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[..., None], object]] = []
        self._sequence = 0
        self._cores = _Cores(cores) if cores else None
        self.processes: list[_Process] = []
        self.stages = [_Stage(stage) for stage in stages]
        places = {stage.name: place for place, stage in enumerate(stages)}
        self.steps = [[places[name] for name in step] for step in steps]
        self.items_of = [stage.items for stage in stages]
        self.client_s = client_s
        self.loader = self._process("clients") if client_s else None
        for stage in self.stages:
            for _ in range(stage.model.replicas):
                stage.replicas.append(_Replica(self._process(stage.model.name)))
            stage.known = list(stage.replicas)
        self.ingresses = [_Ingress(self._process("ingress")) for _ in range(ingress.replicas)]
        for one in self.ingresses:
            one.batchers = [_Batcher(one, stage) for stage in self.stages]
        self.routed = list(self.ingresses)
        self.began: list[float] = []
        self.took: list[float] = []
        self.outcome: list[int] = []
        self.sized: list[tuple[float, int]] = []
        self._left = 0
        self._until = math.inf
        for scale in scaling:
            self._push(0.0, self._scale, (scale, places[scale.stage], deque(), [math.inf], []))
        for loss in losses:
            self._push(loss.at, self._lose, loss)

    # The heap -------------------------------------------------------------------------------------------------------

    def _push(self, at: float, what: Callable[..., None], about: object) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, what, about))

    def _process(self, group: str) -> _Process:
        process = _Process(self._cores, group)
        self.processes.append(process)
        return process

    def _work(self, process: _Process, seconds: float, then: Callable[..., None], about: object) -> None:
        """Let a process compute for some seconds, after what it has to do already, and then go on."""
        if process.running:
            process.jobs.append((seconds, then, about))
            return
        process.running = True
        cores = process.cores
        if cores is None:
            process.busy_s += seconds
            self._sequence += 1
            heapq.heappush(self._heap, (self.now + seconds, self._sequence, self._worked, (process, then, about)))
        else:
            process.jobs.append((seconds, then, about))
            self._want_core(process, cores)

    def _want_core(self, process: _Process, cores: _Cores) -> None:
        if cores.free:
            cores.free -= 1
            self._start(process)
        else:
            cores.waiting.append(process)

    def _start(self, process: _Process) -> None:
        seconds, then, about = process.jobs.popleft()
        process.busy_s += seconds
        self._push(self.now + seconds, self._worked, (process, then, about))

    def _worked(self, what: tuple[_Process, Callable[..., None], object]) -> None:
        process, then, about = what
        cores = process.cores
        if cores is not None:
            if cores.waiting:
                self._start(cores.waiting.popleft())
            else:
                cores.free += 1
            if process.jobs:
                self._want_core(process, cores)
            else:
                process.running = False
        elif process.jobs:
            self._start(process)
        else:
            process.running = False
        then(about)

    # Requests -------------------------------------------------------------------------------------------------------

    def open_loop(self, rate: float | Callable[[float], float], seconds: float, most: float = 0.0) -> Seen:
        """Poisson arrivals of `rate` requests/s, whatever comes back; a function of time stays below `most`."""
        bound = most if callable(rate) else rate
        self._arrivals = (rate if callable(rate) else None, bound, seconds)
        self._push(self.random.expovariate(bound), self._arrive, None)
        return self._run(seconds)

    def closed_loop(self, clients: int, seconds: float) -> Seen:
        """Callers that each send the next request when the last one was answered."""
        for _ in range(clients):
            self._push(0.0, self._ask, None)
        self._until = seconds
        self._closed = True
        return self._run(seconds)

    _closed = False

    def _run(self, seconds: float) -> Seen:
        heap, pop = self._heap, heapq.heappop
        # Nothing here is a cycle for long; looking for some takes a third of the time.
        gc.disable()
        try:
            while heap:
                self.now, _, what, about = pop(heap)
                if self.now > seconds + 60 or (self.now > seconds and not self._left):
                    break
                what(about)
        finally:
            gc.enable()
        busy: dict[str, list[float]] = {}
        for process in self.processes:
            busy.setdefault(process.group, []).append(process.busy_s / seconds)
        return Seen(
            np.array(self.began),
            np.array(self.took),
            np.array(self.outcome),
            {name: sum(shares) / len(shares) for name, shares in busy.items()},
            {stage.model.name: stage.items / max(stage.calls, 1) for stage in self.stages},
            seconds,
            self.sized,
        )

    def _arrive(self, _: object) -> None:
        rate, bound, seconds = self._arrivals
        at = self.now + self.random.expovariate(bound)
        if at < seconds:
            self._push(at, self._arrive, None)
        if rate is None or self.random.random() < rate(self.now) / bound:
            self._enter(None)

    def _ask(self, _: object) -> None:
        if self.now < self._until:
            if self.loader is None:
                self._enter(None)
            else:
                self._work(self.loader, self.client_s / 2, self._enter, self.loader)

    def _enter(self, client: _Process | None) -> None:
        number = len(self.began)
        self.began.append(self.now)
        self.took.append(math.nan)
        self.outcome.append(3)
        self._left += 1
        routed = self.routed
        # The balancer in front: of two at random the one with fewer requests, as leastconn over many proxies.
        ingress = routed[int(self.random.random() * len(routed))]
        other = routed[int(self.random.random() * len(routed))]
        if len(other.ongoing or ()) < len(ingress.ongoing or ()):
            ingress = other
        request = _Request(number, self.now, ingress, client)
        if ingress.ongoing is None:
            # It is gone, and the balancer does not know yet.
            self._end(request, 3)
        elif len(ingress.ongoing) >= self.model.max_requests:
            self._end(request, 2)
        else:
            ingress.ongoing.add(request)
            self._work(ingress.process, self.model.in_s, self._go_on, request)

    def _go_on(self, request: _Request) -> None:
        """The next step of a request: its stages, then what the ingress does last, then the answer."""
        if request.done:
            return
        step = request.step
        request.step += 1
        if step < len(self.steps):
            self._ask_stages(request, self.steps[step])
        elif step == len(self.steps):
            self._work(request.ingress.process, self.model.out_s, self._go_on, request)
        else:
            self._end(request, 1 if request.degraded else 0)

    def _ask_stages(self, request: _Request, places: Sequence[int]) -> None:
        request.missing = 0
        batchers = []
        for place in places:
            batcher = request.ingress.batchers[place]
            stage = batcher.stage.model
            if stage.share < 1 and self.random.random() >= stage.share:
                continue
            if (len(batcher.waiting) + 1) * stage.items > stage.max_waiting:
                request.degraded = True
                continue
            request.missing += 1
            # Items of one request travel together: one entry that weighs stage.items.
            item = _Item(request, self.now + stage.deadline_s)
            batcher.waiting.append(item)
            if stage.deadline_s < math.inf:
                batcher.timed.append(item)
                if len(batcher.timed) == 1:
                    self._push(item.deadline, self._expire, batcher)
            batchers.append(batcher)
        for batcher in batchers:
            self._drain(batcher)
        if not batchers:
            self._go_on(request)

    def _expire(self, batcher: _Batcher) -> None:
        """All items of a batcher have as long, so one timer at the oldest is enough for all."""
        timed = batcher.timed
        while timed and (timed[0].settled or timed[0].deadline <= self.now):
            item = timed.popleft()
            if not item.settled:
                item.settled = True
                item.request.degraded = True
                self._settle(item.request)
        if timed:
            self._push(timed[0].deadline, self._expire, batcher)

    def _settle(self, request: _Request) -> None:
        request.missing -= 1
        if not request.missing:
            self._go_on(request)

    def _end(self, request: _Request, outcome: int) -> None:
        if request.done:
            return
        request.done = True
        self._left -= 1
        self.took[request.number] = self.now - request.began
        self.outcome[request.number] = outcome
        if request.ingress.ongoing is not None:
            request.ingress.ongoing.discard(request)
        if self._closed:
            if request.client is None:
                self._ask(None)
            else:
                self._work(request.client, self.client_s / 2, self._ask, None)

    # Calls ----------------------------------------------------------------------------------------------------------

    def _drain(self, batcher: _Batcher) -> None:
        stage = batcher.stage.model
        waiting = batcher.waiting
        while waiting and batcher.in_flight < stage.max_in_flight:
            items: list[_Item] = []
            weight = 0
            while waiting and (not items or weight + stage.items <= stage.max_items):
                item = waiting.popleft()
                if not item.settled:
                    items.append(item)
                    weight += stage.items
            if not items:
                return
            batcher.in_flight += 1
            call = _Call(batcher, items, repeated=False)
            if self.model.call_s and stage.remote:
                self._work(batcher.ingress.process, self.model.call_s, self._send, call)
            else:
                self._send(call)

    def _send(self, call: _Call) -> None:
        stage = call.batcher.stage
        known = stage.known
        if not known or call.batcher.ingress.ongoing is None:
            self._lost(call)
            return
        draw = self.random.random
        if self.routing == "least":
            replica = min(known, key=lambda one: one.ongoing)
        else:
            replica = known[int(draw() * len(known))]
            if self.routing == "two":
                other = known[int(draw() * len(known))]
                if other.ongoing < replica.ongoing:
                    replica = other
        call.replica = replica
        replica.ongoing += 1
        stage.under_way += 1
        if replica.gone:
            # Nobody answers; whoever waits is told when the loss is noticed.
            replica.calls.add(call)
            return
        replica.calls.add(call)
        model = stage.model
        weight = len(call.items) * model.items
        stage.calls += 1
        stage.items += weight
        seconds = model.fixed_s + model.item_s * weight
        if model.spread == 1.0:
            seconds = self.random.expovariate(1 / seconds)
        elif model.spread:
            shape = 1 / model.spread**2
            seconds = self.random.gammavariate(shape, seconds / shape)
        if model.remote:
            seconds += self.model.remote_s
        self._work(replica.process, seconds, self._answered, call)

    def _answered(self, call: _Call) -> None:
        replica = call.replica
        assert replica is not None
        if call.over or replica.gone:
            return
        call.over = True
        replica.calls.discard(call)
        replica.ongoing -= 1
        call.batcher.stage.under_way -= 1
        if delay := self.model.wire_s + call.batcher.stage.model.delay_s:
            self._push(self.now + delay, self._heard, call)
        else:
            self._heard(call)

    def _heard(self, call: _Call) -> None:
        if call.batcher.ingress.ongoing is None:
            return
        if self.model.call_s and call.batcher.stage.model.remote:
            self._work(call.batcher.ingress.process, self.model.call_s, self._told, call)
        else:
            self._told(call)

    def _told(self, call: _Call) -> None:
        batcher = call.batcher
        batcher.in_flight -= 1
        # The queue first: the batch that follows goes before what these requests ask next.
        self._drain(batcher)
        for item in call.items:
            if not item.settled:
                item.settled = True
                self._settle(item.request)

    def _lost(self, call: _Call) -> None:
        """No replica, or it died with the call: sent once more, then the items go without an answer."""
        batcher = call.batcher
        if batcher.ingress.ongoing is None:
            return
        if not call.repeated and batcher.stage.known:
            self._send(_Call(batcher, call.items, repeated=True))
            return
        batcher.in_flight -= 1
        for item in call.items:
            if not item.settled:
                item.settled = True
                item.request.degraded = True
                self._settle(item.request)
        self._drain(batcher)

    # Faults and autoscaling -----------------------------------------------------------------------------------------

    def _lose(self, loss: Loss) -> None:
        replicas = [one for stage in self.stages for one in stage.replicas[: round(loss.share * len(stage.replicas))]]
        ingresses = self.ingresses[: round(loss.share * len(self.ingresses))] if loss.ingress else []
        for replica in replicas:
            replica.gone = True
        for ingress in ingresses:
            for request in list(ingress.ongoing or ()):
                self._end(request, 3)
            ingress.ongoing = None
        self._push(self.now + loss.notice_s, self._notice, (replicas, ingresses))
        if loss.back < math.inf:
            self._push(loss.back, self._return, (replicas, ingresses))

    def _notice(self, gone: tuple[list[_Replica], list[_Ingress]]) -> None:
        replicas, ingresses = gone
        lost = set(replicas)
        for stage in self.stages:
            stage.known = [one for one in stage.known if one not in lost]
        self.routed = [one for one in self.routed if one not in ingresses] or self.routed
        for replica in replicas:
            calls, replica.calls = replica.calls, set()
            for call in calls:
                call.over = True
                call.batcher.stage.under_way -= 1
                self._lost(call)
            replica.ongoing = 0

    def _return(self, gone: tuple[list[_Replica], list[_Ingress]]) -> None:
        replicas, ingresses = gone
        for replica in replicas:
            replica.gone = False
            replica.process = self._process(replica.process.group)
        for stage in self.stages:
            known = set(stage.known)
            stage.known += [one for one in stage.replicas if one in set(replicas) and one not in known]
        for ingress in ingresses:
            ingress.ongoing = set()
            ingress.process = self._process("ingress")
            ingress.batchers = [_Batcher(ingress, stage) for stage in self.stages]
            self.routed.append(ingress)

    def _scale(self, about: tuple[Scaling, int, deque[float], list[float], list[float]]) -> None:
        scale, place, history, above_since, _ = about
        stage = self.stages[place]
        # What Serve counts as under way: calls at the replicas and those that wait for one.
        history.append(stage.under_way)
        while len(history) > scale.look_back_s / scale.every_s:
            history.popleft()
        wanted = min(scale.most, math.ceil(sum(history) / len(history) / scale.target))
        there = len(stage.replicas)
        if wanted <= there:
            above_since[0] = math.inf
        elif self.now - min(above_since[0], self.now) >= scale.upscale_delay_s:
            above_since[0] = math.inf
            for _ in range(wanted - there):
                replica = _Replica(self._process(stage.model.name))
                stage.replicas.append(replica)
                self._push(self.now + scale.cold_s, self._ready, (stage, replica))
        elif above_since[0] == math.inf:
            above_since[0] = self.now
        self.sized.append((self.now, len(stage.known)))
        self._push(self.now + scale.every_s, self._scale, about)

    def _ready(self, about: tuple[_Stage, _Replica]) -> None:
        stage, replica = about
        stage.known.append(replica)


# Closed forms that the simulator is held to ---------------------------------------------------------------------------


def waiting_mmc(rate: float, service_s: float, servers: int) -> float:
    """Mean seconds that a request waits in M/M/c, by Erlang's C formula."""
    load = rate * service_s
    blocked = 1.0
    for servers_so_far in range(1, servers + 1):
        blocked = load * blocked / (servers_so_far + load * blocked)
    busy = blocked / (1 - load / servers * (1 - blocked))
    return busy * service_s / (servers - load)


def waiting_mg1(rate: float, service_s: float, spread: float) -> float:
    """Mean seconds that a request waits in M/G/1, by Pollaczek and Khinchine; `spread` 0 is M/D/1, 1 M/M/1."""
    busy = rate * service_s
    return busy * service_s * (1 + spread**2) / (2 * (1 - busy))
