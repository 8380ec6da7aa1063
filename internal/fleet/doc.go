// Package fleet says what runs and workers wait for, as one process sees it: stores that refuse or are silent, what workers show,
// accounts that are parked or paused, and that nobody works. Commands, pages and metrics all say the same therefore.
package fleet
