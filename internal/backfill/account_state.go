package backfill

// AccountState is whether an account with a source is asked now. Metrics and commands print it as it is; pages have words of
// their own for two of the states.
type AccountState string

// The states of an account.
const (
	AccountReady   AccountState = "ready"
	AccountPaused  AccountState = "paused"  // for moments: it was asked too fast
	AccountParked  AccountState = "parked"  // until its quota renews
	AccountWaiting AccountState = "waiting" // for anything else, as when its source is down
)

// AccountStates returns all of them.
func AccountStates() []AccountState {
	return []AccountState{AccountReady, AccountPaused, AccountParked, AccountWaiting}
}

// AccountStateOf returns the state of an account that waits for these, the first being what holds it up.
func AccountStateOf(waits []Wait) AccountState {
	if len(waits) == 0 {
		return AccountReady
	}
	switch waits[0].Reason {
	case WaitParked:
		return AccountParked
	case WaitPaused:
		return AccountPaused
	}
	return AccountWaiting
}
