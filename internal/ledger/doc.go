// Package ledger keeps the live state of runs in Redis: which chunks an attempt has, which of them are pending, and what
// the others ended as. Everything that must happen together happens in one Lua script, so processes may die anywhere and
// any of them may go on.
//
// Here are all keys that quantbot has in Redis, and all their fields, but those of asynq (asynq:…) and of the shared
// budget of a source (quantbot:budget…, see internal/source/budget). A test holds this list against the scripts.
//
// The keys of a run share a hash tag, so that they live in one slot of a Redis Cluster:
//
//	quantbot:{<run id>}:meta            hash: see below
//	quantbot:{<run id>}:plan            hash: chunk id → chunk (JSON), over all attempts
//	quantbot:{<run id>}:late            hash: chunk id → success (JSON) that came after its attempt was over
//	quantbot:{<run id>}:waits           hash: worker → what it waits for with chunks of the run; expires within seconds
//	quantbot:{<run id>}:a<N>:pending    set: chunk ids without an outcome
//	quantbot:{<run id>}:a<N>:outcome    hash: chunk id → digit of the rank, then the outcome (JSON)
//	quantbot:{<run id>}:a<N>:lease      sorted set: chunk id → when its lease ends, in µs
//	quantbot:{<run id>}:a<N>:tries      hash: see below
//	quantbot:{<run id>}:a<N>:progress   hash: counts for people to watch, changed in the step that changes an outcome: chunks
//	                                    succeeded, failed, cancelled; candles fetched, inserted, rejected; credits
//
// A chunk of attempt N is in exactly one of pending and outcome; the two together are the plan of the attempt.
//
// The fields of meta:
//
//	run             the run with its manifest (JSON)
//	attempt         the current attempt, from 1
//	expected        how many chunks the attempt has
//	phase           planning, running, finishing or finished
//	cancelled       1 when workers are to end chunks without fetching them
//	epoch           the epoch of the planning process
//	born            the created epoch: under which the attempt was opened or rebuilt
//	rebuilt         1 when the attempt was created again after a loss
//	opener          the owner of the run's claims on its inputs: unique to one call of Open
//	heartbeat_us    when the planning process last showed that it lives, in µs
//	history_behind  1 while the history lacks the start or the plan
//	halt_rate       the share of rejected candles above which the run halts; 0 = never
//	max_credits     how many credits the attempt may use before it halts; 0 = any number
//	halted          why the run halted
//	result          the run's record (JSON), from phase finished on
//	repairs|<action>  how often reconcilers did the action
//
// The fields born and opener have the names that older programs write; in scripts and code they are called created epoch
// and owner.
//
// The fields of tries, each after a chunk id. The first three go with the chunk's outcome:
//
//	<chunk>|run      executions; the last one's number keeps the lease
//	<chunk>|open     executions that are going on or crashed
//	<chunk>|gen      generation of the chunk's task
//	<chunk>|calls    API calls that executions without an outcome spent
//	<chunk>|credits  credits likewise
//	<chunk>|<class>  how often the chunk met the class of errors
//
// These keys belong to no run, and are touched in commands of their own:
//
//	quantbot:runs:active                set: ids of the runs that are not archived
//	quantbot:waits                      hash: worker → what it waits for, whichever runs it works on; expires likewise
//	quantbot:input:<hash>               string: <run id>/<owner>, the run that is filling this input; the hash
//	                                    is that of the request, or of the request with its times as typed
//	quantbot:lease:reconciler           string: the process that repairs runs
//	quantbot:lease:deployment-sign      string: the process that shows that the deployment is in use
//	quantbot:lease:alerts               string: the process that delivers alerts
//	quantbot:reconciler:actions         hash: action → how often reconcilers did it, over all runs
//	quantbot:lock:maintenance           string: who has the lock that keeps rollback, restore, retry, sweep and purge apart
//	{quantbot:lock:maintenance}:next    string: who gets it next
//	quantbot:sweep:succeeded            string: when a sweep last succeeded, in Unix seconds
//	quantbot:deployment                 hash: deployment, id (this Redis' own), signed_at (ClickHouse's time of the last sign
//	                                    of life, in µs), signed_us (when Redis heard of it, in µs of its own clock)
//	{quantbot:deployment}:processes     sorted set: process → when it counts as gone, in µs
//
// The epoch belongs to the planning process: a take-over raises it, and what the older process writes is stale. What
// workers were admitted to before the created epoch is stale too, but a take-over does not throw away what they are
// fetching.
package ledger
