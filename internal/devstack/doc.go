// Package devstack runs on one machine what a deployment consists of: engines, the simulated market, and workers, in this process or
// as processes of their own. The commands dev and demo and the flag --local are made of it. Whoever starts a part stops it; stopping
// waits until the part has ended.
package devstack
