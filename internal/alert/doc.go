// Package alert reports, by a webhook, what people should know: a run that failed, halted, is faulty or stuck, and a
// source whose quota is used up.
//
// Nothing is handed over when a run ends. What is to be reported is derived, again and again, from the run history and
// compared with what was delivered, so an alert is lost neither with the process that ended the run nor with Redis. Its
// event id is computed from what happened: a receiver that ignores an id which it has seen hears of everything once.
// Alerts never hold up or fail the work that they are about.
package alert
