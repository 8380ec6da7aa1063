package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// kind is a fault.
type kind string

const (
	killWorker      kind = "kill a worker"
	stopWorker      kind = "stop a worker for a while (zombie)"
	endWorker       kind = "end a worker in order"
	killAllWorkers  kind = "kill all workers, none for a while"
	killEnqueuer    kind = "kill an enqueuer"
	stopEnqueuer    kind = "stop an enqueuer for a while (zombie)"
	killRedis       kind = "kill Redis, which starts again from its log"
	emptyRedis      kind = "FLUSHALL"
	killClickHouse  kind = "kill ClickHouse, which starts again"
	stopClickHouse  kind = "stop ClickHouse for a while"
	refuseInserts   kind = "ClickHouse refuses candles for a while: too many parts"
	breakSource     kind = "the source answers 500 to everybody for a while"
	deleteTask      kind = "delete a task by hand"
	archiveTask     kind = "archive a task by hand"
	skewClock       kind = "a worker with a fast clock takes living tasks"
	spoilTask       kind = "the message of a task becomes undecodable"
	dropLease       kind = "an active task loses its lease"
	cancelSomeRun   kind = "cancel a run by hand"
	reconcileByHand kind = "runs-resume a run by hand"
)

// action is a fault at its time.
type action struct {
	at    time.Duration
	kind  kind
	lasts time.Duration // of faults that end
	pick  uint64        // chooses the victim among those that are there
}

// schedule is everything that a seed decides.
type schedule struct {
	seed    uint64
	long    bool
	actions []action
}

// String lists the actions.
func (s schedule) String() string {
	var text strings.Builder
	for _, a := range s.actions {
		fmt.Fprintf(&text, "%8s  %s", a.at.Round(time.Millisecond), a.kind)
		if a.lasts > 0 {
			fmt.Fprintf(&text, " (%s)", a.lasts.Round(time.Millisecond))
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// draw makes the schedule of a seed. Kills are spread evenly over the time; the long form has each outage in full length.
func draw(seed uint64, kills int, long bool) schedule {
	r := rand.New(rand.NewPCG(seed, 1))
	s := schedule{seed: seed, long: long}
	span, times := 20*time.Second, 1
	if long {
		span, times = time.Duration(kills)*2500*time.Millisecond, 4
	}
	within := func(part time.Duration) time.Duration { return time.Duration(r.Int64N(int64(part))) }
	add := func(n int, k kind, lasts time.Duration) {
		for range n {
			s.actions = append(s.actions, action{at: time.Second + within(span), kind: k, lasts: lasts, pick: r.Uint64()})
		}
	}
	for i := range kills {
		slot := span / time.Duration(kills)
		s.actions = append(s.actions, action{at: time.Second + time.Duration(i)*slot + within(slot), kind: killWorker, pick: r.Uint64()})
	}
	zombie, gone, away, broken := 12*time.Second, 3*time.Second, 4*time.Second, 10*time.Second
	if long {
		zombie, gone, away, broken = 2*time.Minute, 15*time.Second, time.Minute, 5*time.Minute
	}
	add(times, killEnqueuer, 0)
	add(times, emptyRedis, 0)
	add(times, killRedis, 0)
	add(times, deleteTask, 0)
	add(times, archiveTask, 0)
	add(times, skewClock, 0)
	add(times, spoilTask, 0)
	add(times, dropLease, 0)
	add(1, stopWorker, zombie)
	add(1, stopEnqueuer, min(zombie, 40*time.Second))
	add(1, stopClickHouse, away)
	add(1, refuseInserts, away)
	if long {
		add(times, killEnqueuer, 0)
		add(times, endWorker, 0)
		add(2, killAllWorkers, gone)
		add(2, killClickHouse, 0)
		add(2, cancelSomeRun, 0)
		add(2, reconcileByHand, 0)
	}
	// The source comes last: while it is down, everything else has little to hit.
	s.actions = append(s.actions, action{at: span, kind: breakSource, lasts: broken})
	slices.SortStableFunc(s.actions, func(a, b action) int { return cmp.Compare(a.at, b.at) })
	return s
}
