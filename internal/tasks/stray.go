package tasks

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"quantbot/internal/backfill"
)

// The scripts; what each takes and returns stands in its file.
var (
	//go:embed scripts/stray.lua
	strayLua string
	//go:embed scripts/drop.lua
	dropLua string
	//go:embed scripts/drop_unlisted.lua
	dropUnlistedLua string

	strayScript = redis.NewScript(strayLua)
	dropScript  = redis.NewScript(dropLua)

	dropUnlistedScript = redis.NewScript(dropUnlistedLua)
)

// leaseSeconds is how long asynq's own leases last.
const leaseSeconds = 30

// Stray are tasks of a queue that asynq (0.26) leaves in the state "active" for ever. One of the undecodable ones also keeps its
// recovery from all others (hibiken/asynq issues 1140, 1144 and 1051).
type Stray struct {
	Queue string
	// WithoutLease are active, and recovery looks only at leases.
	WithoutLease int
	// WithoutTask are ids whose task was deleted.
	WithoutTask int
	// Undecodable are ids of tasks whose message is not asynq's.
	Undecodable []string
}

// Empty reports whether there are none.
func (s Stray) Empty() bool {
	return s.WithoutLease == 0 && s.WithoutTask == 0 && len(s.Undecodable) == 0
}

// Strays lists what each queue has of them, for people.
func (q *Queue) Strays(ctx context.Context) ([]Stray, error) { return q.strays(ctx, false) }

// Mend gives active tasks without a lease one, and removes what cannot be run: a chunk that loses its task by that gets another
// one from the reconciler. It returns how many tasks it mended or removed.
func (q *Queue) Mend(ctx context.Context) (mended int, err error) {
	strays, err := q.strays(ctx, true)
	for _, s := range strays {
		mended += s.WithoutLease + s.WithoutTask + len(s.Undecodable)
	}
	return mended, err
}

func (q *Queue) strays(ctx context.Context, mend bool) (strays []Stray, err error) {
	var errs []error
	for _, name := range queueNames() {
		stray, err := q.straysOf(ctx, name, mend)
		if err != nil {
			errs = append(errs, backfill.WithClass(backfill.ClassStore, fmt.Errorf("look for stray tasks in queue %s: %w", name, err)))
		}
		if !stray.Empty() {
			strays = append(strays, stray)
		}
	}
	return strays, errors.Join(errs...)
}

func queueNames() []string {
	names := make([]string, 0, len(weights))
	for name := range weights {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (q *Queue) straysOf(ctx context.Context, queue string, mend bool) (Stray, error) {
	s := Stray{Queue: queue}
	prefix := "asynq:{" + queue + "}:"
	lists := []string{prefix + "active", prefix + "lease"}
	mending := "0"
	if mend {
		mending = "1"
	}
	reply, err := strayScript.Run(ctx, q.redis, lists, prefix+"t:", leaseSeconds, mending).Slice()
	if err != nil {
		return s, err
	}
	s.WithoutLease, s.WithoutTask = int(reply[1].(int64)), int(reply[2].(int64))
	for pair := range slices.Chunk(reply[3:], 2) {
		id, message := pair[0].(string), pair[1].(string)
		if decodable(id, queue, message) {
			continue
		}
		s.Undecodable = append(s.Undecodable, id)
		if mend {
			if err := dropScript.Run(ctx, q.redis, append(lists[:2:2], prefix+"t:"+id), id, message).Err(); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// decodable reports whether asynq can read the message and finds its own task by it. asynq keeps the type to itself; the registry of
// protocol buffers has it.
func decodable(id, queue, message string) bool {
	kind, err := protoregistry.GlobalTypes.FindMessageByName("asynq.TaskMessage")
	if err != nil {
		return true // an asynq that writes something else: let it decide
	}
	decoded := kind.New()
	if proto.Unmarshal([]byte(message), decoded.Interface()) != nil {
		return false
	}
	field := func(name protoreflect.Name) string {
		return decoded.Get(kind.Descriptor().Fields().ByName(name)).String()
	}
	return field("id") == id && field("queue") == queue
}

// gone reports whether the task's message cannot be decoded, after asynq could not read it: no worker will ever run it.
func (q *Queue) gone(ctx context.Context, queue, id string) bool {
	message, err := q.redis.HGet(ctx, "asynq:{"+queue+"}:t:"+id, "msg").Result()
	return err == nil && !decodable(id, queue, message)
}

// dropUnlisted removes the task where it is active and in no list, and reports whether it was.
func (q *Queue) dropUnlisted(ctx context.Context, queue, id string) (bool, error) {
	prefix := "asynq:{" + queue + "}:"
	dropped, err := dropUnlistedScript.Run(ctx, q.redis, []string{prefix + "active", prefix + "lease", prefix + "t:" + id}, id).Bool()
	if err != nil {
		return false, backfill.WithClass(backfill.ClassStore, fmt.Errorf("look whether a worker has task %s: %w", id, err))
	}
	return dropped, nil
}
