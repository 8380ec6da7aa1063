// Package ledger keeps the live state of runs in Redis: which chunks an attempt has, which of them are pending, and what
// the others ended as. Everything that must happen together happens in one Lua script, so processes may die anywhere and
// any of them may go on.
//
// The keys of a run share a hash tag, so that they live in one slot of a Redis Cluster:
//
//	quantbot:{<run id>}:meta            hash: run (JSON), attempt, expected (chunks of the attempt), phase, cancelled,
//	                                    epoch, born, rebuilt, opener, heartbeat_us, history_behind, result (JSON)
//	quantbot:{<run id>}:plan            hash: chunk id → chunk (JSON), over all attempts
//	quantbot:{<run id>}:late            hash: chunk id → success (JSON) that came after its attempt was over
//	quantbot:{<run id>}:waits           hash: worker → what it waits for with chunks of the run; expires within seconds
//	quantbot:{<run id>}:a<N>:pending    set: chunk ids without an outcome
//	quantbot:{<run id>}:a<N>:outcome    hash: chunk id → digit of the rank, then the outcome (JSON)
//	quantbot:{<run id>}:a<N>:tries      hash: <chunk>|run executions, <chunk>|open executions that are going on or
//	                                    crashed, <chunk>|<class> how often the chunk met the class of errors
//	quantbot:{<run id>}:a<N>:progress   hash: counts for people to watch, changed in the step that changes an outcome
//
// A chunk of attempt N is in exactly one of pending and outcome; the two together are the plan of the attempt.
//
// These keys belong to no run, and are touched in commands of their own:
//
//	quantbot:runs:active                set: ids of the runs that are not archived
//	quantbot:waits                      hash: worker → what it waits for, whichever runs it works on; expires likewise
//	quantbot:input:<hash>               string: <run id>/<opener>, the run that is filling this input; the hash
//	                                    is that of the request, or of the request with its times as typed
//	quantbot:lease:reconciler           string: the reconciler that may work
//	quantbot:deployment                 hash: the deployment that this Redis belongs to, its own id, the last sign of life
//	{quantbot:deployment}:processes     sorted set: process → when it counts as gone, in µs
//
// The epoch belongs to the planning process: a take-over raises it, and what the older process writes is stale. Born is
// the epoch under which the attempt was opened or rebuilt: what workers were admitted to before that is stale too, but a
// take-over does not throw away what they are fetching.
package ledger
